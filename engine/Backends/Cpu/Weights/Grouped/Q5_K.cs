using System.Runtime.Intrinsics;
using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Q5_K as grouped integers.</summary>
internal readonly unsafe struct GroupedQ5_K : IGroupedIntegers
{
    public static TensorType Type => TensorType.Q5_K;

    public static int Group => 32;

    public static bool IsNibble => false;

    public static bool HasMinimum => true;

    public static ScaleForm Scales => ScaleForm.SharedUnsigned;

    public static ReadOnlySpan<float> Table => [];

    public static int Bias => 0;

    public static int Center => 16;

    public static void Unpack(byte* block, byte* codes, in RawScales scales)
    {
        scales.Factors[0] = *(ushort*)block;
        scales.Factors[1] = *(ushort*)(block + 2);
        for (int group = 0; group < 8; group++)
        {
            (int scale, int minimum) = SixBitPairs.Read(new ReadOnlySpan<byte>(block + 4, 12), group);
            (scales.Scales[group], scales.Minimums[group]) = ((ushort)scale, (ushort)minimum);
            for (int half = 0; half < 32; half += 16)
            {
                Vector128<byte> fifth = (Vector128.Load(block + 16 + half) >>> group & Vector128.Create((byte)1)) << 4, both = Vector128.Load(block + 48 + 32 * (group / 2) + half);
                ((group % 2 == 0 ? Lanes.LowNibbles(both) : Lanes.HighNibbles(both)) | fifth).Store(codes + 32 * group + half);
            }
        }
    }
}
