using System.Buffers.Binary;

namespace Tare.Formats.Quantization;

/// <summary>32 five-bit integers with a scale and a minimum: <c>0:2 d</c>, <c>2:4 m</c>, <c>4:8 fifth bits (u32)</c>, <c>8:24 nibbles</c>.</summary>
internal readonly struct Q5_1 : IBlockLayout
{
    public static TensorType Type => TensorType.Q5_1;
    public static int ValuesPerBlock => 32;
    public static int BytesPerBlock => 24;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float scale = F16.Read(block, 0), minimum = F16.Read(block, 2);
        uint fifth = BinaryPrimitives.ReadUInt32LittleEndian(block[4..]);
        for (int i = 0; i < 16; i++)
        {
            weights[i] = scale * ((block[8 + i] & 15) | (int)(fifth >> i & 1) << 4) + minimum;
            weights[i + 16] = scale * ((block[8 + i] >> 4) | (int)(fifth >> (i + 16) & 1) << 4) + minimum;
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float scale = F16.Read(block, 0), minimum = F16.Read(block, 2);
        uint fifth = BinaryPrimitives.ReadUInt32LittleEndian(block[4..]);
        var packed = Lanes.Load(block, 8);
        Lanes.Store(Lanes.LowNibbles(packed) | Lanes.Spread(fifth, 16), scale, minimum, weights, 0);
        Lanes.Store(Lanes.HighNibbles(packed) | Lanes.Spread(fifth >> 16, 16), scale, minimum, weights, 16);
    }
}
