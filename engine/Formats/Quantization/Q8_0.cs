using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization;

/// <summary>32 signed bytes with one scale: <c>0:2 d</c>, <c>2:34 integers</c>.</summary>
internal readonly struct Q8_0 : IBlockLayout
{
    public static TensorType Type => TensorType.Q8_0;
    public static int ValuesPerBlock => 32;
    public static int BytesPerBlock => 34;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float scale = F16.Read(block, 0);
        for (int i = 0; i < 32; i++) weights[i] = scale * (sbyte)block[2 + i];
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float scale = F16.Read(block, 0);
        Lanes.Store(Lanes.Load(block, 2).AsSByte(), scale, weights, 0);
        Lanes.Store(Lanes.Load(block, 18).AsSByte(), scale, weights, 16);
    }
}
