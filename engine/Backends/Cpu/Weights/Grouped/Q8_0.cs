using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Q8_0 as grouped integers.</summary>
internal readonly struct GroupedQ8_0 : IGroupedIntegers
{
    public static TensorType Type => TensorType.Q8_0;

    public static int Group => 32;

    public static bool IsNibble => false;

    public static bool HasMinimum => false;

    public static ReadOnlySpan<float> Table => [];

    public static int NibbleCenter => -1;

    public static void Unpack(ReadOnlySpan<byte> block, Span<byte> codes, Span<float> scales, Span<float> minimums)
    {
        scales[0] = F16.Read(block, 0);
        block.Slice(2, 32).CopyTo(codes);
    }
}
