namespace Tare.Capture.Statistics;

/// <summary>
/// Merges the statistics of chunks in a fixed tree over their numbers: 2k with 2k + 1 on every level. Which machine computed which chunk, and in which order, changes no bit. Holds one partial result a level.
/// </summary>
public static class PairwiseMerge
{
    /// <summary>Rows of a chunk.</summary>
    public const int ChunkRows = 4096;

    /// <summary>Merges all chunks of [0, <paramref name="count"/>); <paramref name="read"/> gives a chunk that the merge may change, or null where it is missing.</summary>
    public static SiteStatistics[]? Run(long count, Func<long, SiteStatistics[]?> read)
    {
        int level = 0;
        while (1L << level < count) level++;
        return Node(level, 0);

        SiteStatistics[]? Node(int level, long index)
        {
            if (index << level >= count) return null;
            if (level == 0) return read(index);
            var left = Node(level - 1, 2 * index);
            var right = Node(level - 1, 2 * index + 1);
            return Together(left, right);
        }
    }

    internal static SiteStatistics[]? Together(SiteStatistics[]? left, SiteStatistics[]? right)
    {
        if (left is null || right is null) return left ?? right;
        if (left.Length != right.Length) throw new ArgumentException($"{right.Length} sites don't fit {left.Length}");
        for (int i = 0; i < left.Length; i++) left[i].Merge(right[i]);
        return left;
    }
}

/// <summary>The same tree for chunks that arrive one after the other and are not known in number.</summary>
public sealed class RunningMerge
{
    private readonly Stack<(int Level, SiteStatistics[] Value)> _stack = new();
    private readonly Stack<SiteStatistics[]> _spare = new();

    /// <summary>Adds the next chunk, whose memory belongs to the merge from now on.</summary>
    public void Add(SiteStatistics[] chunk)
    {
        int level = 0;
        while (_stack.TryPeek(out var top) && top.Level == level)
        {
            var later = chunk;
            chunk = PairwiseMerge.Together(_stack.Pop().Value, later)!;
            _spare.Push(later);
            level++;
        }
        _stack.Push((level, chunk));
    }

    /// <summary>Takes the memory of a chunk that is not merged here.</summary>
    public void Recycle(SiteStatistics[] chunk) => _spare.Push(chunk);

    /// <summary>A chunk without rows whose memory is free again, or null.</summary>
    public SiteStatistics[]? Reuse()
    {
        if (!_spare.TryPop(out var spare)) return null;
        foreach (var site in spare) site.Clear();
        return spare;
    }

    /// <summary>All chunks together; nothing may be added afterwards.</summary>
    public SiteStatistics[]? Finish()
    {
        SiteStatistics[]? result = null;
        while (_stack.TryPop(out var next)) result = PairwiseMerge.Together(next.Value, result);
        return result;
    }
}
