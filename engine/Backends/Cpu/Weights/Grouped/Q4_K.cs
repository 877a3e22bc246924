using System.Runtime.Intrinsics;
using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Q4_K as grouped integers.</summary>
internal readonly unsafe struct GroupedQ4_K : IGroupedIntegers
{
    public static TensorType Type => TensorType.Q4_K;

    public static int Group => 32;

    public static bool IsNibble => true;

    public static bool HasMinimum => true;

    public static ScaleForm Scales => ScaleForm.SharedUnsigned;

    public static ReadOnlySpan<float> Table => CodeTables.Unsigned;

    public static int Bias => 0;

    public static int Center => 0;

    public static void Unpack(byte* block, byte* codes, in RawScales scales)
    {
        scales.Factors[0] = *(ushort*)block;
        scales.Factors[1] = *(ushort*)(block + 2);
        for (int group = 0; group < 8; group++)
        {
            (int scale, int minimum) = SixBitPairs.Read(new ReadOnlySpan<byte>(block + 4, 12), group);
            (scales.Scales[group], scales.Minimums[group]) = ((ushort)scale, (ushort)minimum);
            // Two groups share 32 bytes there; here each group has its own 16, values i and 16 + i in byte i.
            byte* source = block + 16 + 32 * (group / 2);
            Vector128<byte> first = Vector128.Load(source), second = Vector128.Load(source + 16);
            var packed = group % 2 == 0 ? Lanes.LowNibbles(first) | Lanes.LowNibbles(second) << 4 : Lanes.HighNibbles(first) | (second & Vector128.Create((byte)0xF0));
            packed.Store(codes + 16 * group);
        }
    }
}
