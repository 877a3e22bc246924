using System.Buffers.Binary;

namespace Tare.Formats.Quantization.Encoding;

/// <summary>Q5_0: the extreme value becomes −16.</summary>
internal static class Q5_0Encoder
{
    public static void Encode(ReadOnlySpan<float> values, Span<byte> block)
    {
        float scale = PlainScales.Extreme(values) / -16, inverse = PlainScales.Inverse(scale);
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)scale);
        uint fifth = 0;
        for (int i = 0; i < 16; i++)
        {
            int low = PlainScales.Clamp(values[i] * inverse + 16.5f, 31), high = PlainScales.Clamp(values[i + 16] * inverse + 16.5f, 31);
            block[6 + i] = (byte)(low & 15 | (high & 15) << 4);
            fifth |= (uint)(low >> 4) << i | (uint)(high >> 4) << i + 16;
        }
        BinaryPrimitives.WriteUInt32LittleEndian(block[2..], fifth);
    }
}
