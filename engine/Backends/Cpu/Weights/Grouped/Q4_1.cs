using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Q4_1 as grouped integers.</summary>
internal readonly struct GroupedQ4_1 : IGroupedIntegers
{
    public static TensorType Type => TensorType.Q4_1;

    public static int Group => 32;

    public static bool IsNibble => true;

    public static bool HasMinimum => true;

    public static ReadOnlySpan<float> Table => CodeTables.Unsigned;

    public static int NibbleCenter => 0;

    public static void Unpack(ReadOnlySpan<byte> block, Span<byte> codes, Span<float> scales, Span<float> minimums)
    {
        (scales[0], minimums[0]) = (F16.Read(block, 0), F16.Read(block, 2));
        for (int i = 0; i < 16; i++) (codes[i], codes[i + 16]) = ((byte)(block[4 + i] & 15), (byte)(block[4 + i] >> 4));
    }
}
