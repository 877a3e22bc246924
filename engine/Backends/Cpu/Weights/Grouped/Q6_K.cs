using System.Runtime.Intrinsics;
using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Q6_K as grouped integers.</summary>
internal readonly unsafe struct GroupedQ6_K : IGroupedIntegers
{
    public static TensorType Type => TensorType.Q6_K;

    public static int Group => 16;

    public static bool IsNibble => false;

    public static bool HasMinimum => false;

    public static ScaleForm Scales => ScaleForm.SharedSigned;

    public static ReadOnlySpan<float> Table => [];

    public static int Bias => 32;

    public static int Center => 32;

    public static void Unpack(byte* block, byte* codes, in RawScales scales)
    {
        scales.Factors[0] = *(ushort*)(block + 208);
        for (int group = 0; group < 16; group++)
        {
            scales.Scales[group] = block[192 + group];
            // Values 16 · group … lie in the low or high halves of 64 bytes each, their upper bits in 32 bytes of four pairs each.
            var both = Vector128.Load(block + 64 * (group / 8) + 16 * (group % 4));
            var upper = Vector128.Load(block + 128 + 32 * (group / 8) + 16 * (group % 2)) >>> 2 * (group / 2 % 4) & Vector128.Create((byte)3);
            ((group % 8 < 4 ? Lanes.LowNibbles(both) : Lanes.HighNibbles(both)) + (upper << 4) - Vector128.Create((byte)32)).Store(codes + 16 * group);
        }
    }
}
