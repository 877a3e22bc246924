using System.Buffers.Binary;
using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization;

/// <summary>32 five-bit integers around 16 with one scale: <c>0:2 d</c>, <c>2:6 fifth bits (u32)</c>, <c>6:22 nibbles</c>.</summary>
internal readonly struct Q5_0 : IBlockLayout
{
    public static TensorType Type => TensorType.Q5_0;
    public static int ValuesPerBlock => 32;
    public static int BytesPerBlock => 22;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float scale = F16.Read(block, 0);
        uint fifth = BinaryPrimitives.ReadUInt32LittleEndian(block[2..]);
        for (int i = 0; i < 16; i++)
        {
            weights[i] = scale * (((block[6 + i] & 15) | (int)(fifth >> i & 1) << 4) - 16);
            weights[i + 16] = scale * (((block[6 + i] >> 4) | (int)(fifth >> (i + 16) & 1) << 4) - 16);
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float scale = F16.Read(block, 0);
        uint fifth = BinaryPrimitives.ReadUInt32LittleEndian(block[2..]);
        var packed = Lanes.Load(block, 6);
        var low = Lanes.LowNibbles(packed) | Lanes.Spread(fifth, 16);
        var high = Lanes.HighNibbles(packed) | Lanes.Spread(fifth >> 16, 16);
        Lanes.Store(low.AsSByte() - Vector128.Create((sbyte)16), scale, weights, 0);
        Lanes.Store(high.AsSByte() - Vector128.Create((sbyte)16), scale, weights, 16);
    }
}
