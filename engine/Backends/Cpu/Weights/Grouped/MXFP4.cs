using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>MXFP4 as grouped integers.</summary>
internal readonly struct GroupedMXFP4 : IGroupedIntegers
{
    private static readonly float[] Codes = [.. Codebooks.Fp4.ToArray().Select(v => (float)(sbyte)v)];

    public static TensorType Type => TensorType.MXFP4;

    public static int Group => 32;

    public static bool IsNibble => true;

    public static bool HasMinimum => false;

    public static ReadOnlySpan<float> Table => Codes;

    public static int NibbleCenter => -1;

    public static void Unpack(ReadOnlySpan<byte> block, Span<byte> codes, Span<float> scales, Span<float> minimums)
    {
        int e = block[0];
        scales[0] = BitConverter.UInt32BitsToSingle(e < 2 ? 0x00200000u << e : (uint)(e - 1) << 23); // 2^(e − 128); the table holds doubled values
        for (int i = 0; i < 16; i++) (codes[i], codes[i + 16]) = ((byte)(block[1 + i] & 15), (byte)(block[1 + i] >> 4));
    }
}
