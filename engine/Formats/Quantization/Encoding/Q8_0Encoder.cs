using System.Buffers.Binary;

namespace Tare.Formats.Quantization.Encoding;

/// <summary>Q8_0: scale = largest magnitude / 127, halves rounded away from zero.</summary>
internal static class Q8_0Encoder
{
    public static void Encode(ReadOnlySpan<float> values, Span<byte> block)
    {
        float scale = MathF.Abs(PlainScales.Extreme(values)) / 127, inverse = PlainScales.Inverse(scale);
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)scale);
        for (int i = 0; i < values.Length; i++) block[2 + i] = (byte)(sbyte)MathF.Round(values[i] * inverse, MidpointRounding.AwayFromZero);
    }
}
