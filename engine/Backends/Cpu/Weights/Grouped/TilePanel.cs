using System.Runtime.CompilerServices;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>
/// A stretch of k of a tile, prepared for many rows in scratch that stays in the first cache. Codes: a lane is an output, <see cref="TileLayout{T}"/> says which values it holds; [steps] of them follow each other,
/// in the tile itself with the numbers of its blocks between them, or copied. Scales F32 [steps, groups, 16]; offsets F32 [steps, 16]: minimums; integer scales [steps, 2, 16]: two I16 each.
/// </summary>
internal readonly unsafe ref struct TilePanel(byte* codes, float* scales, float* offsets, int* integerScales)
{
    /// <summary>Most steps of a panel with nibbles; others take half of them.</summary>
    public const int Steps = 32;

    /// <summary>Floats of scratch: scales [32, 16], offsets [32, 16], integer scales [16, 2, 16] and codes of 16 steps.</summary>
    public const int Floats = Steps * 16 + Steps * 16 + Steps * 16 + Steps / 2 * 128;

    public readonly byte* Codes = codes;
    public readonly float* Scales = scales, Offsets = offsets;
    public readonly int* IntegerScales = integerScales;

    /// <summary>The outputs from <paramref name="lane"/> on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TilePanel From(int lane) => new(Codes + 4 * lane, Scales + lane, Offsets + lane, IntegerScales + lane);
}
