namespace Tare.Formats.Quantization.Encoding;

/// <summary>Q5_K: 256 values in 32 steps of six-bit scales and minima.</summary>
internal static class Q5_KEncoder
{
    public static void Encode(ReadOnlySpan<float> values, Span<byte> block)
    {
        Span<byte> integers = stackalloc byte[256];
        AffineBlock.Round(values, 31, block, integers);
        block.Slice(16, 32).Clear();
        for (int i = 0; i < 256; i++) block[16 + i % 32] |= (byte)(integers[i] >> 4 << i / 32);
        for (int i = 0; i < 128; i++)
        {
            int first = 64 * (i / 32) + i % 32;
            block[48 + i] = (byte)(integers[first] & 15 | (integers[first + 32] & 15) << 4);
        }
    }
}
