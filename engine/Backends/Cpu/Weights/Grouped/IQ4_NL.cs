using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>IQ4_NL as grouped integers.</summary>
internal readonly struct GroupedIQ4_NL : IGroupedIntegers
{
    private static readonly float[] Codes = [.. Codebooks.Iq4.ToArray().Select(v => (float)(sbyte)v)];

    public static TensorType Type => TensorType.IQ4_NL;

    public static int Group => 32;

    public static bool IsNibble => true;

    public static bool HasMinimum => false;

    public static ReadOnlySpan<float> Table => Codes;

    public static int NibbleCenter => -1;

    public static void Unpack(ReadOnlySpan<byte> block, Span<byte> codes, Span<float> scales, Span<float> minimums)
    {
        scales[0] = F16.Read(block, 0);
        for (int i = 0; i < 16; i++) (codes[i], codes[i + 16]) = ((byte)(block[2 + i] & 15), (byte)(block[2 + i] >> 4));
    }
}
