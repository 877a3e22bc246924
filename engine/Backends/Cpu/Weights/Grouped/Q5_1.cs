using System.Runtime.Intrinsics;
using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Q5_1 as grouped integers.</summary>
internal readonly unsafe struct GroupedQ5_1 : IGroupedIntegers
{
    public static TensorType Type => TensorType.Q5_1;

    public static int Group => 32;

    public static bool IsNibble => false;

    public static bool HasMinimum => true;

    public static ScaleForm Scales => ScaleForm.Half;

    public static ReadOnlySpan<float> Table => [];

    public static int Bias => 0;

    public static int Center => 16;

    public static void Unpack(byte* block, byte* codes, in RawScales scales)
    {
        scales.Scales[0] = *(ushort*)block;
        scales.Minimums[0] = *(ushort*)(block + 2);
        uint fifth = *(uint*)(block + 4);
        var both = Vector128.Load(block + 8);
        (Lanes.LowNibbles(both) + Lanes.Spread(fifth, 16)).Store(codes);
        (Lanes.HighNibbles(both) + Lanes.Spread(fifth >> 16, 16)).Store(codes + 16);
    }
}
