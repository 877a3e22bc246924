using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization;

/// <summary>
/// 256 two-bit integers; a four-bit scale and a four-bit minimum for every 16, in units of two halves:
/// <c>0:16 scales | minima « 4</c>, <c>16:80 integers</c> (a byte holds weights 32 apart), <c>80:82 d</c>, <c>82:84 e</c>.
/// </summary>
internal readonly struct Q2_K : IBlockLayout
{
    public static TensorType Type => TensorType.Q2_K;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 84;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 80), e = F16.Read(block, 82);
        for (int i = 0; i < 256; i++)
        {
            int pair = block[i / 16], integer = block[16 + 32 * (i / 128) + i % 32] >> 2 * (i / 32 % 4) & 3;
            weights[i] = d * (pair & 15) * integer - e * (pair >> 4);
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 80), e = F16.Read(block, 82);
        for (int group = 0; group < 16; group++)
        {
            var packed = Lanes.Load(block, 16 + 32 * (group / 8) + 16 * (group % 2));
            var integers = packed >>> 2 * (group / 2 % 4) & Vector128.Create((byte)3);
            int pair = block[group];
            Lanes.Store(integers, d * (pair & 15), -(e * (pair >> 4)), weights, 16 * group);
        }
    }
}
