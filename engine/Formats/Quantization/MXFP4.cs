namespace Tare.Formats.Quantization;

/// <summary>E2M1 floats with a power-of-two scale (OCP Microscaling 1.0): <c>0:1 e</c>, <c>1:17 nibbles</c> (16 low, then 16 high).</summary>
internal readonly struct MXFP4 : IBlockLayout
{
    public static TensorType Type => TensorType.MXFP4;
    public static int ValuesPerBlock => 32;
    public static int BytesPerBlock => 17;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        int e = block[0];
        float scale = BitConverter.UInt32BitsToSingle(e < 2 ? 0x00200000u << e : (uint)(e - 1) << 23); // 2^(e − 128); the table holds doubled values
        var values = Codebooks.Fp4;
        for (int i = 0; i < 16; i++)
        {
            weights[i] = scale * (sbyte)values[block[1 + i] & 15];
            weights[i + 16] = scale * (sbyte)values[block[1 + i] >> 4];
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights) => DecodePlain(block, weights);
}
