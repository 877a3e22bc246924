namespace Tare.Formats.Quantization;

/// <summary>E2M1 floats with an E4M3 scale a 16: <c>0:4 e</c>, <c>4:36 nibbles</c> (8 low, then 8 high a group).</summary>
internal readonly struct NVFP4 : IBlockLayout
{
    public static TensorType Type => TensorType.NVFP4;
    public static int ValuesPerBlock => 64;
    public static int BytesPerBlock => 36;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        var values = Codebooks.Fp4;
        for (int group = 0; group < 4; group++)
        {
            int e = block[group], exponent = e >> 3 & 15, mantissa = e & 7;
            float scale = e is 0 or 0x7F ? 0 : exponent == 0 ? mantissa / 1024f : MathF.ScaleB(8 + mantissa, exponent - 11);
            for (int i = 0; i < 8; i++)
            {
                byte q = block[4 + 8 * group + i];
                weights[16 * group + i] = scale * (sbyte)values[q & 15];
                weights[16 * group + i + 8] = scale * (sbyte)values[q >> 4];
            }
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights) => DecodePlain(block, weights);
}
