namespace Tare.Formats.Quantization;

/// <summary>32 four-bit integers with a scale and a minimum: <c>0:2 d</c>, <c>2:4 m</c>, <c>4:20 nibbles</c>.</summary>
internal readonly struct Q4_1 : IBlockLayout
{
    public static TensorType Type => TensorType.Q4_1;
    public static int ValuesPerBlock => 32;
    public static int BytesPerBlock => 20;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float scale = F16.Read(block, 0), minimum = F16.Read(block, 2);
        for (int i = 0; i < 16; i++)
        {
            weights[i] = scale * (block[4 + i] & 15) + minimum;
            weights[i + 16] = scale * (block[4 + i] >> 4) + minimum;
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float scale = F16.Read(block, 0), minimum = F16.Read(block, 2);
        var packed = Lanes.Load(block, 4);
        Lanes.Store(Lanes.LowNibbles(packed), scale, minimum, weights, 0);
        Lanes.Store(Lanes.HighNibbles(packed), scale, minimum, weights, 16);
    }
}
