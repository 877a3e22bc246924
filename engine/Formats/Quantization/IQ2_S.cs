namespace Tare.Formats.Quantization;

/// <summary>Ten-bit grid indices, whole sign bytes: <c>0:2 d</c>, <c>2:34 q</c>, <c>34:66 signs</c>, <c>66:74 h</c>, <c>74:82 s</c>.</summary>
internal readonly struct IQ2_S : IBlockLayout
{
    public static TensorType Type => TensorType.IQ2_S;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 82;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 0);
        for (int group = 0; group < 32; group++)
        {
            int index = block[2 + group] | (block[66 + group / 4] >> 2 * (group % 4) & 3) << 8;
            float scale = d * (0.5f + (block[74 + group / 4] >> 4 * (group / 2 % 2) & 15)) * 0.25f;
            Codebooks.Store(Codebooks.Iq2S, 8 * index, block[34 + group], scale, weights.Slice(8 * group, 8));
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights) => DecodePlain(block, weights);
}
