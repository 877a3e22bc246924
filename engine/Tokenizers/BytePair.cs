namespace Tare.Tokenizers;

/// <summary>
/// Byte-pair merging (Sennrich et al. 2016): the adjacent pair of lowest rank is merged, the leftmost first, until none is left. A queue of pairs over a linked list: O(n log n).
/// </summary>
internal sealed class BytePair(Dictionary<(int Left, int Right), (int Rank, int Merged)> merges)
{
    /// <summary>Queue operations so far: what the work per byte is measured by.</summary>
    public long Operations { get; private set; }

    /// <summary>Merges symbols in place and appends the result.</summary>
    public void Merge(int[] symbols, List<int> output)
    {
        int count = symbols.Length;
        int[] previous = new int[count], next = new int[count];
        var queue = new PriorityQueue<(int At, int Left, int Right), (int Rank, int At)>();
        for (int i = 0; i < count; i++) (previous[i], next[i]) = (i - 1, i + 1 < count ? i + 1 : -1);
        for (int i = 0; i + 1 < count; i++) Offer(i);
        while (queue.TryDequeue(out var pair, out _))
        {
            Operations++;
            int at = pair.At, right = next[at];
            if (symbols[at] != pair.Left || right < 0 || symbols[right] != pair.Right) continue; // one of the two was merged meanwhile
            symbols[at] = merges[(pair.Left, pair.Right)].Merged;
            symbols[right] = -1;
            next[at] = next[right];
            if (next[at] >= 0) previous[next[at]] = at;
            if (previous[at] >= 0) Offer(previous[at]);
            Offer(at);
        }
        for (int i = count == 0 ? -1 : 0; i >= 0; i = next[i]) output.Add(symbols[i]);

        void Offer(int at)
        {
            int right = next[at];
            if (right < 0 || !merges.TryGetValue((symbols[at], symbols[right]), out var merge)) return;
            Operations++;
            queue.Enqueue((at, symbols[at], symbols[right]), (merge.Rank, at));
        }
    }
}
