using System.Collections.Immutable;
using Tare.Execution.Edits;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Execution;

/// <summary>Layers whose caches have one shape and one lifetime, so that they share page tables.</summary>
/// <param name="Layers">Cache indices (<see cref="KvAppend.Layer"/>), ascending.</param>
/// <param name="Heads">Key and value heads.</param>
/// <param name="KeyWidth">Elements of a position's key, all heads.</param>
/// <param name="ValueWidth">Elements of a position's value, all heads; 0 where values are read from keys.</param>
/// <param name="KeyType">Element type of keys.</param>
/// <param name="ValueType">Element type of values.</param>
/// <param name="Window">Positions that stay visible; pages behind are freed. Null = all.</param>
public sealed record KvGroup(ImmutableArray<int> Layers, int Heads, int KeyWidth, int ValueWidth, KvType KeyType, KvType ValueType, int? Window)
{
    /// <summary>All but the layers.</summary>
    public (int Heads, int KeyWidth, int ValueWidth, KvType KeyType, KvType ValueType, int? Window) Shape => (Heads, KeyWidth, ValueWidth, KeyType, ValueType, Window);

    /// <summary>Most pages that a sequence of <paramref name="length"/> positions holds at a time when it grows by at most <paramref name="chunk"/> positions a step and pages behind the window are freed.</summary>
    public int PagesNeeded(int length, int chunk)
    {
        int all = (int)(((long)length + KvLayout.PageTokens - 1) / KvLayout.PageTokens);
        return Window is int window ? (int)Math.Min(all, ((long)window + chunk + KvLayout.PageTokens - 1) / KvLayout.PageTokens + 1) : all;
    }

    /// <summary>Elements of one page: for each layer 32 keys, then 32 values.</summary>
    public long PageElements => (long)Layers.Length * KvLayout.PageTokens * (KeyWidth + ValueWidth);

    /// <summary>Offset in a page of the key of a position within the page, for the layer at this index of the group: the keys of a layer are [32, KeyWidth].</summary>
    public long KeyOffset(int layerIndex, int position) => (long)layerIndex * KvLayout.PageTokens * (KeyWidth + ValueWidth) + (long)position * KeyWidth;

    /// <summary>The same for values, [32, ValueWidth] behind the layer's keys.</summary>
    public long ValueOffset(int layerIndex, int position) => (long)layerIndex * KvLayout.PageTokens * (KeyWidth + ValueWidth) + (long)KvLayout.PageTokens * KeyWidth + (long)position * ValueWidth;

    /// <inheritdoc/>
    public bool Equals(KvGroup? other) => other is not null && Shape == other.Shape && Layers.SequenceEqual(other.Layers);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Layers.Length, Shape);
}

/// <summary>The caches of a graph: groups of layers, pages of 32 tokens.</summary>
public sealed record KvLayout(ImmutableArray<KvGroup> Groups)
{
    /// <summary>Positions of a page.</summary>
    public const int PageTokens = 32;

    /// <summary>Derives the groups from the KvAppend nodes of a graph, in order of their first layer.</summary>
    public static KvLayout Of(Graph graph)
        => new([.. graph.Ops.OfType<KvAppend>().OrderBy(a => a.Layer)
            .GroupBy(a => (a.Heads, a.KeyWidth, a.ValueWidth, a.KeyType, a.ValueType, a.Window))
            .Select(g => new KvGroup([.. g.Select(a => a.Layer)], g.Key.Heads, g.Key.KeyWidth, g.Key.ValueWidth, g.Key.KeyType, g.Key.ValueType, g.Key.Window))]);

    /// <summary>The group and the index within it of a layer. Throws where no group has it.</summary>
    public (int Group, int Index) Find(int layer)
    {
        for (int g = 0; g < Groups.Length; g++)
        {
            int index = Groups[g].Layers.IndexOf(layer);
            if (index >= 0) return (g, index);
        }
        throw new GraphException($"the state has no cache for layer {layer}");
    }

    /// <inheritdoc/>
    public bool Equals(KvLayout? other) => other is not null && Groups.SequenceEqual(other.Groups);

    /// <inheritdoc/>
    public override int GetHashCode() => Groups.Aggregate(7, HashCode.Combine);
}

/// <summary>What a state holds: caches with a number of pages a group, an edit table, or both.</summary>
public sealed record StateLayout(KvLayout Kv, ImmutableArray<int> PagesPerGroup)
{
    /// <summary>The edit table; null = none.</summary>
    public EditTableLayout? Edits { get; init; }

    /// <summary>A state with an edit table and no caches.</summary>
    public static StateLayout ForEdits(EditTableLayout edits) => new(new KvLayout([]), []) { Edits = edits };

    /// <summary>Pages enough for one sequence of <paramref name="length"/> positions that grows by at most <paramref name="chunk"/> a step: windowed groups hold their window alone.</summary>
    public static StateLayout ForOneSequence(KvLayout kv, int length, int chunk) => new(kv, [.. kv.Groups.Select(g => g.PagesNeeded(length, chunk))]);

    /// <summary>Page tables of that sequence: a group's pages in turn, so that a page is written again when it lies behind the window. Empty starts where there is no cache.</summary>
    public (int[] Pages, int[] Starts) TablesOfOneSequence(int length)
    {
        int entries = (length + KvLayout.PageTokens - 1) / KvLayout.PageTokens;
        return ([.. PagesPerGroup.SelectMany(n => Enumerable.Range(0, entries).Select(p => p % n))], PagesPerGroup.IsEmpty ? [] : [.. Enumerable.Range(0, PagesPerGroup.Length + 1).Select(g => g * entries)]);
    }
}
