using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Execution;

/// <summary>Element type of cached keys and values.</summary>
public enum KvType
{
    /// <summary>32-bit float.</summary>
    F32,
}

/// <summary>Layers whose caches have one shape and one lifetime, so that they share page tables.</summary>
/// <param name="Layers">Cache indices (<see cref="KvAppend.Layer"/>), ascending.</param>
/// <param name="KeyWidth">Elements of a position's key, all heads.</param>
/// <param name="ValueWidth">Elements of a position's value, all heads; 0 where values are read from keys.</param>
/// <param name="KeyType">Element type of keys.</param>
/// <param name="ValueType">Element type of values.</param>
/// <param name="Window">Positions that stay visible; pages behind are freed. Null = all.</param>
public sealed record KvGroup(ImmutableArray<int> Layers, int KeyWidth, int ValueWidth, KvType KeyType, KvType ValueType, int? Window)
{
    /// <summary>Elements of one page: for each layer 32 keys, then 32 values.</summary>
    public long PageElements => (long)Layers.Length * KvLayout.PageTokens * (KeyWidth + ValueWidth);

    /// <summary>Offset in a page of the key of a position within the page, for the layer at this index of the group: the keys of a layer are [32, KeyWidth].</summary>
    public long KeyOffset(int layerIndex, int position) => (long)layerIndex * KvLayout.PageTokens * (KeyWidth + ValueWidth) + (long)position * KeyWidth;

    /// <summary>The same for values, [32, ValueWidth] behind the layer's keys.</summary>
    public long ValueOffset(int layerIndex, int position) => (long)layerIndex * KvLayout.PageTokens * (KeyWidth + ValueWidth) + (long)KvLayout.PageTokens * KeyWidth + (long)position * ValueWidth;

    /// <inheritdoc/>
    public bool Equals(KvGroup? other) => other is not null && (KeyWidth, ValueWidth, KeyType, ValueType, Window) == (other.KeyWidth, other.ValueWidth, other.KeyType, other.ValueType, other.Window) && Layers.SequenceEqual(other.Layers);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Layers.Length, KeyWidth, ValueWidth, Window);
}

/// <summary>The caches of a graph: groups of layers, pages of 32 tokens.</summary>
public sealed record KvLayout(ImmutableArray<KvGroup> Groups)
{
    /// <summary>Positions of a page.</summary>
    public const int PageTokens = 32;

    /// <summary>Derives the groups from the KvAppend nodes of a graph, in order of their first layer.</summary>
    public static KvLayout Of(Graph graph, KvType keyType = KvType.F32, KvType valueType = KvType.F32)
        => new([.. graph.Ops.OfType<KvAppend>().OrderBy(a => a.Layer)
            .GroupBy(a => (a.KeyWidth, a.ValueWidth, a.Window))
            .Select(g => new KvGroup([.. g.Select(a => a.Layer)], g.Key.KeyWidth, g.Key.ValueWidth, keyType, valueType, g.Key.Window))]);

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

/// <summary>What a state holds: caches with a number of pages a group.</summary>
public sealed record StateLayout(KvLayout Kv, ImmutableArray<int> PagesPerGroup);
