namespace Tare.Formats.Quantization;

/// <summary>Four bits through a table: <c>0:2 d</c>, <c>2:18 nibbles</c> (16 low, then 16 high).</summary>
internal readonly struct IQ4_NL : IBlockLayout
{
    public static TensorType Type => TensorType.IQ4_NL;
    public static int ValuesPerBlock => 32;
    public static int BytesPerBlock => 18;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 0);
        var values = Codebooks.Iq4;
        for (int i = 0; i < 16; i++)
        {
            weights[i] = d * (sbyte)values[block[2 + i] & 15];
            weights[i + 16] = d * (sbyte)values[block[2 + i] >> 4];
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights) => DecodePlain(block, weights);
}
