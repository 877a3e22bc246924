using System.Collections.Immutable;
using Tare.Execution;

namespace Tare.Generation;

/// <summary>The pages of one sequence: a table a KV group (entry i holds positions 32i … 32i + 31, −1 = freed behind the window) and the number of positions that are filled.</summary>
internal sealed class KvSequence(int groups)
{
    /// <summary>[groups] page tables.</summary>
    public List<int>[] Tables { get; } = [.. Enumerable.Range(0, groups).Select(_ => new List<int>())];

    /// <summary>Positions that are filled.</summary>
    public int Length { get; internal set; }
}

/// <summary>
/// Who holds which page: reference counts, tables, forks that copy a page on its first write, pages freed behind windows, and an index of filled pages by the tokens that lead up to them, so that another
/// sequence with the same beginning takes them over. Pure logic; one caller at a time.
/// </summary>
internal sealed class KvPages
{
    private const int Page = KvLayout.PageTokens;

    private readonly KvLayout _layout;
    private readonly int[][] _references;  // [groups][pages]
    private readonly Stack<int>[] _free;   // [groups]
    private readonly Action<int, int, int> _copy;
    private readonly PrefixIndex _prefixes;
    private readonly PrefixKey _start;

    /// <summary>Pages of a state; <paramref name="copy"/>(group, from, to) copies a page's contents.</summary>
    public KvPages(StateLayout state, Action<int, int, int> copy)
    {
        (_layout, _copy) = (state.Kv, copy);
        _references = [.. state.PagesPerGroup.Select(n => new int[n])];
        _free = [.. state.PagesPerGroup.Select(n => new Stack<int>(Enumerable.Range(0, n).Reverse()))];
        _prefixes = new PrefixIndex(_layout.Groups.Length);
        _start = PrefixKey.Start(_layout);
    }

    /// <summary>Pages that nobody holds, of a group.</summary>
    public int Free(int group) => _free[group].Count;

    /// <summary>Filled pages in the prefix index.</summary>
    public int Indexed => _prefixes.Count;

    /// <summary>Most pages of a group that a sequence of this length holds at a time when it grows by steps of at most <paramref name="chunk"/> positions.</summary>
    public int Needed(int group, int length, int chunk) => _layout.Groups[group].PagesNeeded(length, chunk);

    public KvSequence Create() => new(_layout.Groups.Length);

    /// <summary>Makes room for positions up to <paramref name="length"/>: pages that others hold too and that will be written are copied, new ones are taken. Throws when there are none.</summary>
    public void Extend(KvSequence sequence, int length)
    {
        for (int g = 0; g < _layout.Groups.Length; g++)
        {
            var table = sequence.Tables[g];
            int written = sequence.Length / Page;
            if (written < table.Count && length > sequence.Length && table[written] >= 0 && _references[g][table[written]] > 1)
            {
                int copy = Take(g);
                _copy(g, table[written], copy);
                Drop(g, table[written]);
                table[written] = copy;
            }
            while (table.Count * Page < length) table.Add(Take(g));
        }
        sequence.Length = length;
    }

    /// <summary>Frees the pages that lie wholly behind the windows of the next position.</summary>
    public void FreeBehindWindows(KvSequence sequence)
    {
        for (int g = 0; g < _layout.Groups.Length; g++)
        {
            if (_layout.Groups[g].Window is not int window) continue;
            int first = Math.Max(0, sequence.Length - window + 1) / Page;
            for (int p = Math.Min(first, sequence.Tables[g].Count) - 1; p >= 0 && sequence.Tables[g][p] >= 0; p--)
            {
                Drop(g, sequence.Tables[g][p]);
                sequence.Tables[g][p] = -1;
            }
        }
    }

    /// <summary>
    /// Forgets the positions from <paramref name="length"/> on. Where pages that the positions before need were freed behind a window, the sequence is emptied. Returns the length that is left.
    /// </summary>
    public int Truncate(KvSequence sequence, int length)
    {
        if (length < 0 || length > sequence.Length) throw new ArgumentOutOfRangeException(nameof(length), $"{length} of {sequence.Length} positions");
        for (int g = 0; g < _layout.Groups.Length; g++)
            for (int p = Math.Max(0, length - (_layout.Groups[g].Window ?? length) + 1) / Page; p * Page < length; p++)
                if (sequence.Tables[g][p] < 0) length = 0;
        for (int g = 0; g < _layout.Groups.Length; g++)
        {
            var table = sequence.Tables[g];
            for (int p = table.Count - 1; p >= (length + Page - 1) / Page; p--)
            {
                if (table[p] >= 0) Drop(g, table[p]);
                table.RemoveAt(p);
            }
        }
        return sequence.Length = length;
    }

    /// <summary>A second sequence with the same past. Pages are shared until one of the two writes.</summary>
    public KvSequence Fork(KvSequence sequence)
    {
        var fork = Create();
        fork.Length = sequence.Length;
        for (int g = 0; g < fork.Tables.Length; g++)
        {
            fork.Tables[g].AddRange(sequence.Tables[g]);
            foreach (int page in sequence.Tables[g].Where(p => p >= 0)) _references[g][page]++;
        }
        return fork;
    }

    /// <summary>Gives all pages of a sequence back.</summary>
    public void Release(KvSequence sequence) => Truncate(sequence, 0);

    /// <summary>Enters the full pages of a sequence whose tokens are <paramref name="ids"/> (at least its length) into the prefix index; <paramref name="marks"/> say which rows were edited.</summary>
    public void Index(KvSequence sequence, ReadOnlySpan<int> ids, EditMarks marks = default)
    {
        var key = _start;
        for (int p = 0; (p + 1) * Page <= sequence.Length; p++)
        {
            var tokens = ids.Slice(p * Page, Page);
            key = key.Next(tokens, p * Page, marks);
            if (_prefixes.Contains(key)) continue;
            var pages = new int[_layout.Groups.Length];
            for (int g = 0; g < pages.Length; g++)
            {
                pages[g] = sequence.Tables[g][p];
                if (pages[g] >= 0) _references[g][pages[g]]++;
            }
            _prefixes.Add(key, tokens, pages);
        }
    }

    /// <summary>Fills an empty sequence with the longest indexed beginning of <paramref name="ids"/> whose rows were treated as <paramref name="marks"/> say; always leaves at least one token to compute. Returns its length.</summary>
    public int Adopt(KvSequence sequence, ReadOnlySpan<int> ids, EditMarks marks = default)
    {
        var found = new List<int[]>();
        var key = _start;
        for (int p = 0; (p + 1) * Page < ids.Length; p++)
        {
            var tokens = ids.Slice(p * Page, Page);
            key = key.Next(tokens, p * Page, marks);
            if (_prefixes.Find(key, tokens) is not { } pages) break;
            found.Add(pages);
        }
        int count = found.Count;
        while (count > 0 && !HasWindow(found, count)) count--;
        for (int p = 0; p < count; p++)
            for (int g = 0; g < _layout.Groups.Length; g++)
            {
                int page = p >= FirstNeeded(g, count * Page) ? found[p][g] : -1;
                if (page >= 0) _references[g][page]++;
                sequence.Tables[g].Add(page);
            }
        return sequence.Length = count * Page;
    }

    /// <summary>Drops the index entry that was not used for longest; its pages become free unless a sequence holds them. False where there is none.</summary>
    public bool EvictOldest()
    {
        if (_prefixes.RemoveOldest() is not { } pages) return false;
        for (int g = 0; g < pages.Length; g++)
            if (pages[g] >= 0) Drop(g, pages[g]);
        return true;
    }

    /// <summary>How many hold a page (for tests).</summary>
    internal int References(int group, int page) => _references[group][page];

    private bool HasWindow(List<int[]> found, int count)
    {
        for (int g = 0; g < _layout.Groups.Length; g++)
            for (int p = FirstNeeded(g, count * Page); p < count; p++)
                if (found[p][g] < 0) return false;
        return true;
    }

    // The first page that position `length` sees.
    private int FirstNeeded(int group, int length) => _layout.Groups[group].Window is int window ? Math.Max(0, length - window + 1) / Page : 0;

    private int Take(int group)
    {
        while (_free[group].Count == 0 && EvictOldest())
        {
        }
        if (_free[group].Count == 0) throw new InvalidOperationException($"KV group {group} has no free page");
        int page = _free[group].Pop();
        _references[group][page] = 1;
        return page;
    }

    private void Drop(int group, int page)
    {
        if (--_references[group][page] == 0) _free[group].Push(page);
    }
}
