using System.Buffers.Binary;

namespace Tare.Formats.Quantization.Encoding;

/// <summary>Q4_1: 16 steps from the least value to the largest.</summary>
internal static class Q4_1Encoder
{
    public static void Encode(ReadOnlySpan<float> values, Span<byte> block)
    {
        var (least, most) = PlainScales.Range(values);
        float scale = (most - least) / 15, inverse = PlainScales.Inverse(scale);
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)scale);
        BinaryPrimitives.WriteHalfLittleEndian(block[2..], (Half)least);
        for (int i = 0; i < 16; i++) block[4 + i] = (byte)(PlainScales.Clamp((values[i] - least) * inverse + 0.5f, 15) | PlainScales.Clamp((values[i + 16] - least) * inverse + 0.5f, 15) << 4);
    }
}
