using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization;

/// <summary>32 four-bit integers around 8 with one scale: <c>0:2 d</c>, <c>2:18 nibbles</c> (low nibbles first).</summary>
internal readonly struct Q4_0 : IBlockLayout
{
    public static TensorType Type => TensorType.Q4_0;
    public static int ValuesPerBlock => 32;
    public static int BytesPerBlock => 18;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float scale = F16.Read(block, 0);
        for (int i = 0; i < 16; i++)
        {
            weights[i] = scale * ((block[2 + i] & 15) - 8);
            weights[i + 16] = scale * ((block[2 + i] >> 4) - 8);
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float scale = F16.Read(block, 0);
        var packed = Lanes.Load(block, 2);
        Lanes.Store(Lanes.LowNibbles(packed).AsSByte() - Vector128.Create((sbyte)8), scale, weights, 0);
        Lanes.Store(Lanes.HighNibbles(packed).AsSByte() - Vector128.Create((sbyte)8), scale, weights, 16);
    }
}
