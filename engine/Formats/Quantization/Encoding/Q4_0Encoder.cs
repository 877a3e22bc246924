using System.Buffers.Binary;

namespace Tare.Formats.Quantization.Encoding;

/// <summary>Q4_0: the extreme value becomes −8.</summary>
internal static class Q4_0Encoder
{
    public static void Encode(ReadOnlySpan<float> values, Span<byte> block)
    {
        float scale = PlainScales.Extreme(values) / -8, inverse = PlainScales.Inverse(scale);
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)scale);
        for (int i = 0; i < 16; i++) block[2 + i] = (byte)(PlainScales.Clamp(values[i] * inverse + 8.5f, 15) | PlainScales.Clamp(values[i + 16] * inverse + 8.5f, 15) << 4);
    }
}
