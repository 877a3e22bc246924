using Tare.Execution;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Caches;

/// <summary>
/// How the keys or the values of one head lie in a page of 32 positions: Q8_0 scales F16 [blocks of 32 elements, 32 positions] (none for the other types), then the elements – keys transposed to [Width, 32 positions], so that the
/// lanes of a score vector are positions; values as [32 positions, Width]. Starts at a multiple of 64 bytes.
/// </summary>
internal readonly struct HeadFormat(KvType type, int width)
{
    /// <summary>Elements of a Q8_0 block.</summary>
    public const int Block = 32;

    public KvType Type { get; } = type;

    /// <summary>Elements of a position.</summary>
    public int Width { get; } = width;

    /// <summary>Q8_0 blocks of a position.</summary>
    public int Blocks { get; } = type == KvType.Q8_0 ? (width + Block - 1) / Block : 0;

    /// <summary>Bytes of an element.</summary>
    public int ElementBytes => Type switch { KvType.F32 => sizeof(float), KvType.F16 => sizeof(ushort), _ => sizeof(sbyte) };

    /// <summary>Where the elements begin.</summary>
    public int ElementsOffset => Blocks * KvLayout.PageTokens * sizeof(ushort);

    /// <summary>Bytes of a head in a page.</summary>
    public int Bytes => (ElementsOffset + KvLayout.PageTokens * Width * ElementBytes + 63) / 64 * 64;
}

/// <summary>How a page of a group is laid out: layer after layer, of each the keys of all heads, then the values of all heads.</summary>
internal readonly struct PageFormat(KvGroup group)
{
    public HeadFormat Keys { get; } = new(group.KeyType, group.KeyWidth / group.Heads);

    public HeadFormat Values { get; } = new(group.ValueType, group.ValueWidth / group.Heads);

    public int Heads { get; } = group.Heads;

    /// <summary>Bytes of a layer in a page.</summary>
    public long LayerBytes => (long)Heads * (Keys.Bytes + Values.Bytes);

    /// <summary>Bytes of a page.</summary>
    public long Bytes { get; } = checked(group.Layers.Length * group.Heads * ((long)new HeadFormat(group.KeyType, group.KeyWidth / group.Heads).Bytes + new HeadFormat(group.ValueType, group.ValueWidth / group.Heads).Bytes));
}
