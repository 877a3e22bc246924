namespace Tare.Formats.Quantization;

/// <summary>Four weights a grid row, nine-bit indices, whole sign bytes: <c>0:2 d</c>, <c>2:66 q</c>, <c>66:74 h</c>, <c>74:106 signs</c>, <c>106:110 s</c>.</summary>
internal readonly struct IQ3_S : IBlockLayout
{
    public static TensorType Type => TensorType.IQ3_S;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 110;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 0);
        for (int quad = 0; quad < 64; quad++)
        {
            int index = block[2 + quad] | (block[66 + quad / 8] >> quad % 8 & 1) << 8;
            float scale = d * (1 + 2 * (block[106 + quad / 16] >> 4 * (quad / 8 % 2) & 15));
            Codebooks.Store(Codebooks.Iq3S, 4 * index, block[74 + quad / 2] >> 4 * (quad % 2), scale, weights.Slice(4 * quad, 4));
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights) => DecodePlain(block, weights);
}
