namespace Tare.Formats.Quantization;

/// <summary>Ternary, two bits a weight: <c>0:64 q</c>, <c>64:66 d</c>.</summary>
internal readonly struct TQ2_0 : IBlockLayout
{
    public static TensorType Type => TensorType.TQ2_0;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 66;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 64);
        for (int i = 0; i < 256; i++) weights[i] = d * ((block[32 * (i / 128) + i % 32] >> 2 * (i / 32 % 4) & 3) - 1);
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights) => DecodePlain(block, weights);
}
