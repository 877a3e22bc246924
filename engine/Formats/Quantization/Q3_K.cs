using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization;

/// <summary>
/// 256 three-bit integers around 4 with a six-bit scale for every 16: <c>0:32 third bits</c>, <c>32:96 low bits</c> (a byte holds weights 32 apart),
/// <c>96:108 scales</c>, <c>108:110 d</c>.
/// </summary>
internal readonly struct Q3_K : IBlockLayout
{
    public static TensorType Type => TensorType.Q3_K;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 110;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 108);
        for (int i = 0; i < 256; i++)
        {
            int low = block[32 + 32 * (i / 128) + i % 32] >> 2 * (i / 32 % 4) & 3, third = block[i % 32] >> i / 32 & 1;
            weights[i] = d * Scale(block, i / 16) * (low + 4 * third - 4);
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 108);
        for (int group = 0; group < 16; group++)
        {
            var low = Lanes.Load(block, 32 + 32 * (group / 8) + 16 * (group % 2)) >>> 2 * (group / 2 % 4) & Vector128.Create((byte)3);
            var third = Lanes.Load(block, 16 * (group % 2)) >>> group / 2 & Vector128.Create((byte)1);
            var integers = (low | third << 2).AsSByte() - Vector128.Create((sbyte)4);
            Lanes.Store(integers, d * Scale(block, group), weights, 16 * group);
        }
    }

    /// <summary>The signed scale of a group of 16: four bits from the first eight bytes, two from the last four.</summary>
    private static int Scale(ReadOnlySpan<byte> block, int group)
        => ((block[96 + group % 8] >> 4 * (group / 8) & 15) | (block[104 + group % 4] >> 2 * (group / 4) & 3) << 4) - 32;
}
