using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Q4_K as grouped integers.</summary>
internal readonly struct GroupedQ4_K : IGroupedIntegers
{
    public static TensorType Type => TensorType.Q4_K;

    public static int Group => 32;

    public static bool IsNibble => true;

    public static bool HasMinimum => true;

    public static ReadOnlySpan<float> Table => CodeTables.Unsigned;

    public static int NibbleCenter => 0;

    public static void Unpack(ReadOnlySpan<byte> block, Span<byte> codes, Span<float> scales, Span<float> minimums)
    {
        float d = F16.Read(block, 0), e = F16.Read(block, 2);
        for (int group = 0; group < 8; group++)
        {
            var (scale, minimum) = SixBitPairs.Read(block.Slice(4, 12), group);
            (scales[group], minimums[group]) = (d * scale, -(e * minimum));
            for (int i = 0; i < 32; i++) codes[32 * group + i] = (byte)(block[16 + 32 * (group / 2) + i] >> 4 * (group % 2) & 15);
        }
    }
}
