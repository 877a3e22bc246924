using System.Runtime.Intrinsics;
using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Q5_0 as grouped integers.</summary>
internal readonly unsafe struct GroupedQ5_0 : IGroupedIntegers
{
    public static TensorType Type => TensorType.Q5_0;

    public static int Group => 32;

    public static bool IsNibble => false;

    public static bool HasMinimum => false;

    public static ScaleForm Scales => ScaleForm.Half;

    public static ReadOnlySpan<float> Table => [];

    public static int Bias => 16;

    public static int Center => 16;

    public static void Unpack(byte* block, byte* codes, in RawScales scales)
    {
        scales.Scales[0] = *(ushort*)block;
        uint fifth = *(uint*)(block + 2);
        var both = Vector128.Load(block + 6);
        (Lanes.LowNibbles(both) + Lanes.Spread(fifth, 16) - Vector128.Create((byte)16)).Store(codes);
        (Lanes.HighNibbles(both) + Lanes.Spread(fifth >> 16, 16) - Vector128.Create((byte)16)).Store(codes + 16);
    }
}
