using System.Runtime.CompilerServices;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>
/// Where the parts of a packed tile lie: 16 rows in blocks of up to 256 values of k, so that a product reads one stream. Of a block first the codes of its steps (32 values of k each), then their scales, their
/// minimums, and the factors that they share, with 16 rows beside each other. A 32-bit lane of codes is a row: byte i of lane vector j holds value 4j + i, or for nibbles value 4j + i in its low half and
/// 16 + 4j + i in its high half.
/// </summary>
internal static class TileLayout<T> where T : struct, IGroupedIntegers
{
    public const int Rows = 16, Step = 32, BlockSteps = 8;

    public static int Groups
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Step / T.Group;
    }

    /// <summary>Code bytes of a step.</summary>
    public static int CodeBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => T.IsNibble ? Rows * Step / 2 : Rows * Step;
    }

    /// <summary>Bytes of one scale.</summary>
    public static int NumberBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => T.Scales == ScaleForm.Half ? 2 : 1;
    }

    /// <summary>Scale bytes of a step; minimums take as many.</summary>
    public static int ScaleBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Groups * Rows * NumberBytes;
    }

    /// <summary>Whether scales are multiplied by a factor.</summary>
    public static bool HasFactors
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => T.Scales is ScaleForm.SharedUnsigned or ScaleForm.SharedSigned;
    }

    /// <summary>Bytes of the factors of a block: of the scales, then of the minimums.</summary>
    public static int FactorBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => !HasFactors ? 0 : Rows * 2 * (T.HasMinimum ? 2 : 1);
    }

    /// <summary>Bytes of a block, a multiple of 64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int BlockBytes(int steps) => steps * (CodeBytes + ScaleBytes * (T.HasMinimum ? 2 : 1)) + FactorBytes + 63 & ~63;

    /// <summary>Bytes of a tile.</summary>
    public static long TileBytes(int steps) => (long)(steps / BlockSteps) * BlockBytes(BlockSteps) + (steps % BlockSteps == 0 ? 0 : BlockBytes(steps % BlockSteps));

    /// <summary>Where block <paramref name="index"/> begins in a tile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long BlockAt(int index) => (long)index * BlockBytes(BlockSteps);
}

/// <summary>A block of a tile, from one of its rows on.</summary>
internal readonly unsafe ref struct TileBlock<T> where T : struct, IGroupedIntegers
{
    public readonly byte* Codes, Scales, Minimums, Factors;

    /// <summary>The block at <paramref name="block"/>, of <paramref name="steps"/> steps, from row <paramref name="lane"/> on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TileBlock(byte* block, int steps, int lane)
    {
        byte* numbers = block + steps * TileLayout<T>.CodeBytes;
        Codes = block + 4 * lane;
        Scales = numbers + lane * TileLayout<T>.NumberBytes;
        Minimums = Scales + steps * TileLayout<T>.ScaleBytes;
        Factors = numbers + steps * TileLayout<T>.ScaleBytes * (T.HasMinimum ? 2 : 1) + 2 * lane;
    }

    /// <summary>Scales of a group of a step.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* ScalesOf(int step, int group) => Scales + step * TileLayout<T>.ScaleBytes + group * TileLayout<T>.Rows * TileLayout<T>.NumberBytes;

    /// <summary>Minimums of a step.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* MinimumsOf(int step) => Minimums + step * TileLayout<T>.ScaleBytes;

    /// <summary>The factor of the scales (0) or of the minimums (1).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ushort* Factor(int index) => (ushort*)Factors + index * TileLayout<T>.Rows;
}
