using Tare.Execution;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>The queries of one item: consecutive rows of a sequence, some heads that read one key head.</summary>
/// <param name="Sequence">Index of the sequence.</param>
/// <param name="Group">KV group of the layer.</param>
/// <param name="LayerIndex">The layer's index in the group.</param>
/// <param name="KvHead">The key head.</param>
/// <param name="FirstHead">First query head.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="Rows">Rows; query i is row i / Heads, head i % Heads.</param>
/// <param name="Position">Position of the first row.</param>
/// <param name="Lowest">First key position that any of the queries sees.</param>
/// <param name="Highest">Last key position that any of the queries sees.</param>
/// <param name="Start">First position that exists (later than 0 only without a cache).</param>
/// <param name="RowOffset">Row of a position, less the position: for keys that come from the step.</param>
/// <param name="QAddress">First query [KeyWidth]; heads follow one another.</param>
/// <param name="YAddress">First output [ValueWidth].</param>
internal readonly unsafe record struct AttentionQueries(int Sequence, int Group, int LayerIndex, int KvHead, int FirstHead, int Heads, int Rows, int Position, int Lowest, int Highest, int Start, int RowOffset, nint QAddress, nint YAddress)
{
    /// <summary>Queries of an item at most.</summary>
    public const int Most = 32;

    /// <summary>Keys of a block.</summary>
    public const int BlockKeys = 256;

    public AttentionQueries(int sequence, int group, int layerIndex, int kvHead, int firstHead, int heads, int rows, int position, int lowest, int highest, int start, int rowOffset, float* q, float* y)
        : this(sequence, group, layerIndex, kvHead, firstHead, heads, rows, position, lowest, highest, start, rowOffset, (nint)q, (nint)y) { }

    public float* Q => (float*)QAddress;

    public float* Y => (float*)YAddress;

    public int Count => Rows * Heads;

    /// <summary>Whether so few queries share a key head that its keys and values are best widened on their way into the product.</summary>
    public bool AreFew => Rows * Heads <= PanelProduct.Rows;

    public int FirstBlock => Lowest / BlockKeys;

    public int LastBlock => Highest / BlockKeys;

    /// <summary>Keys of a block that are read, in whole pages.</summary>
    public int KeysOf(int block)
    {
        int first = Math.Max(block * BlockKeys, Lowest) / KvLayout.PageTokens, last = Math.Min(block * BlockKeys + BlockKeys - 1, Highest) / KvLayout.PageTokens;
        return (last - first + 1) * KvLayout.PageTokens;
    }
}
