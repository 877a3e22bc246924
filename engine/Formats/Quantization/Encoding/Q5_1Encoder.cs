using System.Buffers.Binary;

namespace Tare.Formats.Quantization.Encoding;

/// <summary>Q5_1: 32 steps from the least value to the largest.</summary>
internal static class Q5_1Encoder
{
    public static void Encode(ReadOnlySpan<float> values, Span<byte> block)
    {
        var (least, most) = PlainScales.Range(values);
        float scale = (most - least) / 31, inverse = PlainScales.Inverse(scale);
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)scale);
        BinaryPrimitives.WriteHalfLittleEndian(block[2..], (Half)least);
        uint fifth = 0;
        for (int i = 0; i < 16; i++)
        {
            int low = PlainScales.Clamp((values[i] - least) * inverse + 0.5f, 31), high = PlainScales.Clamp((values[i + 16] - least) * inverse + 0.5f, 31);
            block[8 + i] = (byte)(low & 15 | (high & 15) << 4);
            fifth |= (uint)(low >> 4) << i | (uint)(high >> 4) << i + 16;
        }
        BinaryPrimitives.WriteUInt32LittleEndian(block[4..], fifth);
    }
}
