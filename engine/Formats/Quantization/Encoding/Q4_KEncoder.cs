namespace Tare.Formats.Quantization.Encoding;

/// <summary>Q4_K: 256 values in 16 steps of six-bit scales and minima.</summary>
internal static class Q4_KEncoder
{
    public static void Encode(ReadOnlySpan<float> values, Span<byte> block)
    {
        Span<byte> integers = stackalloc byte[256];
        AffineBlock.Round(values, 15, block, integers);
        for (int i = 0; i < 128; i++)
        {
            int first = 64 * (i / 32) + i % 32;
            block[16 + i] = (byte)(integers[first] | integers[first + 32] << 4);
        }
    }
}
