using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization;

/// <summary>
/// 256 five-bit integers with a six-bit scale and minimum for every 32: <c>0:2 d</c>, <c>2:4 e</c>, <c>4:16 pairs</c>, <c>16:48 fifth bits</c> (bit k of a byte for the kth 32),
/// <c>48:176 nibbles</c>.
/// </summary>
internal readonly struct Q5_K : IBlockLayout
{
    public static TensorType Type => TensorType.Q5_K;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 176;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 0), e = F16.Read(block, 2);
        for (int i = 0; i < 256; i++)
        {
            var (scale, minimum) = SixBitPairs.Read(block.Slice(4, 12), i / 32);
            int low = block[48 + 32 * (i / 64) + i % 32] >> 4 * (i / 32 % 2) & 15, fifth = block[16 + i % 32] >> i / 32 & 1;
            weights[i] = d * scale * (low | fifth << 4) - e * minimum;
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 0), e = F16.Read(block, 2);
        var pairs = block.Slice(4, 12);
        Vector128<byte> bit = Vector128.Create((byte)1), firstFifth = Lanes.Load(block, 16), secondFifth = Lanes.Load(block, 32);
        for (int group = 0; group < 8; group++)
        {
            var (integer, unit) = SixBitPairs.Read(pairs, group);
            float scale = d * integer, minimum = -(e * unit);
            Vector128<byte> first = Lanes.Load(block, 48 + 32 * (group / 2)), second = Lanes.Load(block, 64 + 32 * (group / 2));
            int shift = 4 * (group % 2);
            Lanes.Store(Lanes.LowNibbles(first >>> shift) | (firstFifth & bit) << 4, scale, minimum, weights, 32 * group);
            Lanes.Store(Lanes.LowNibbles(second >>> shift) | (secondFifth & bit) << 4, scale, minimum, weights, 32 * group + 16);
            firstFifth >>>= 1;
            secondFifth >>>= 1;
        }
    }
}
