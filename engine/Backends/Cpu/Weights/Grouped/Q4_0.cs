using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Q4_0 as grouped integers.</summary>
internal readonly struct GroupedQ4_0 : IGroupedIntegers
{
    public static TensorType Type => TensorType.Q4_0;

    public static int Group => 32;

    public static bool IsNibble => true;

    public static bool HasMinimum => false;

    public static ReadOnlySpan<float> Table => CodeTables.Centered;

    public static int NibbleCenter => 8;

    public static void Unpack(ReadOnlySpan<byte> block, Span<byte> codes, Span<float> scales, Span<float> minimums)
    {
        scales[0] = F16.Read(block, 0);
        for (int i = 0; i < 16; i++) (codes[i], codes[i + 16]) = ((byte)(block[2 + i] & 15), (byte)(block[2 + i] >> 4));
    }
}
