namespace Tare.Tokenizers;

/// <summary>
/// Byte-pair merging (Sennrich et al. 2016): the adjacent pair of lowest rank is merged, the leftmost first, until none is left. Short pieces by looking at all pairs; long ones with the first pairs sorted once and a heap
/// for those that come up on the way: O(n log n).
/// </summary>
internal sealed class BytePair(Dictionary<(int Left, int Right), (int Rank, int Merged)> merges)
{
    private const int Short = 48, None = int.MaxValue;

    /// <summary>Looked-up pairs and merges so far: what the work per byte is measured by.</summary>
    public long Operations { get; private set; }

    /// <summary>Merges symbols in place and appends the result.</summary>
    public void Merge(Span<int> symbols, List<int> output)
    {
        if (symbols.Length <= Short) MergeShort(symbols, output);
        else MergeLong(symbols, output);
    }

    private void MergeShort(Span<int> symbols, List<int> output)
    {
        Span<int> ranks = stackalloc int[Short];
        int count = symbols.Length;
        for (int i = 0; i + 1 < count; i++) ranks[i] = RankOf(symbols[i], symbols[i + 1]);
        while (count > 1)
        {
            int at = 0;
            for (int i = 1; i + 1 < count; i++)
                if (ranks[i] < ranks[at]) at = i;
            if (ranks[at] == None) break;
            Operations++;
            symbols[at] = merges[(symbols[at], symbols[at + 1])].Merged;
            symbols[(at + 2)..count].CopyTo(symbols[(at + 1)..]);
            count--;
            if (at + 1 < count) ranks[(at + 2)..count].CopyTo(ranks[(at + 1)..]);
            if (at > 0) ranks[at - 1] = RankOf(symbols[at - 1], symbols[at]);
            if (at + 1 < count) ranks[at] = RankOf(symbols[at], symbols[at + 1]);
        }
        foreach (int symbol in symbols[..count]) output.Add(symbol);
    }

    private void MergeLong(Span<int> symbols, List<int> output)
    {
        int count = symbols.Length;
        int[] previous = new int[count], next = new int[count], ranks = new int[count]; // rank of the pair that begins here
        for (int i = 0; i < count; i++) (previous[i], next[i], ranks[i]) = (i - 1, i + 1 < count ? i + 1 : -1, i + 1 < count ? RankOf(symbols[i], symbols[i + 1]) : None);
        ulong[] first = Sorted(ranks);
        var later = new PairHeap();
        for (int taken = 0; taken < first.Length || later.Count > 0;)
        {
            ulong key = taken < first.Length && (later.Count == 0 || first[taken] < later.Top) ? first[taken++] : later.Take();
            int at = (int)(uint)key;
            if (ranks[at] != (int)(key >> 32)) continue; // one of the two was merged meanwhile
            int right = next[at];
            Operations++;
            symbols[at] = merges[(symbols[at], symbols[right])].Merged;
            ranks[right] = None;
            next[at] = next[right];
            if (next[at] >= 0) previous[next[at]] = at;
            Offer(symbols, previous[at], next, ranks, later);
            Offer(symbols, at, next, ranks, later);
        }
        for (int i = 0; i >= 0; i = next[i]) output.Add(symbols[i]);
    }

    private void Offer(ReadOnlySpan<int> symbols, int at, int[] next, int[] ranks, PairHeap heap)
    {
        if (at < 0) return;
        ranks[at] = next[at] < 0 ? None : RankOf(symbols[at], symbols[next[at]]);
        if (ranks[at] != None) heap.Add(Key(ranks[at], at));
    }

    private int RankOf(int left, int right)
    {
        if (!merges.TryGetValue((left, right), out var merge)) return None;
        Operations++;
        return merge.Rank;
    }

    private static ulong Key(int rank, int at) => (ulong)(uint)rank << 32 | (uint)at;

    private static ulong[] Sorted(int[] ranks)
    {
        int known = 0;
        foreach (int rank in ranks) known += rank == None ? 0 : 1;
        var keys = new ulong[known];
        for (int i = 0, k = 0; i < ranks.Length; i++)
            if (ranks[i] != None) keys[k++] = Key(ranks[i], i);
        Array.Sort(keys);
        return keys;
    }
}
