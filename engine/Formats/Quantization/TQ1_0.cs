namespace Tare.Formats.Quantization;

/// <summary>Ternary, five weights a byte as a fraction of 256 in base 3: <c>0:48 q</c>, <c>48:52 h</c>, <c>52:54 d</c>.</summary>
internal readonly struct TQ1_0 : IBlockLayout
{
    public static TensorType Type => TensorType.TQ1_0;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 54;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 52);
        ReadOnlySpan<byte> powers = [1, 3, 9, 27, 81];
        for (int i = 0; i < 256; i++)
        {
            var (at, digit) = i < 160 ? (i % 32, i / 32) : i < 240 ? (32 + (i - 160) % 16, (i - 160) / 16) : (48 + (i - 240) % 4, (i - 240) / 4);
            int ternary = (byte)(block[at] * powers[digit]) * 3 >> 8;
            weights[i] = d * (ternary - 1);
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights) => DecodePlain(block, weights);
}
