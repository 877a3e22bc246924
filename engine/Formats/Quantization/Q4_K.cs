using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization;

/// <summary>256 four-bit integers with a six-bit scale and minimum for every 32: <c>0:2 d</c>, <c>2:4 e</c>, <c>4:16 pairs</c>, <c>16:144 nibbles</c> (32 low, then 32 high).</summary>
internal readonly struct Q4_K : IBlockLayout
{
    public static TensorType Type => TensorType.Q4_K;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 144;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 0), e = F16.Read(block, 2);
        for (int i = 0; i < 256; i++)
        {
            var (scale, minimum) = SixBitPairs.Read(block.Slice(4, 12), i / 32);
            weights[i] = d * scale * (block[16 + 32 * (i / 64) + i % 32] >> 4 * (i / 32 % 2) & 15) - e * minimum;
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 0), e = F16.Read(block, 2);
        var pairs = block.Slice(4, 12);
        for (int group = 0; group < 8; group += 2)
        {
            var (scale, minimum) = SixBitPairs.Read(pairs, group);
            float lowScale = d * scale, lowMinimum = -(e * minimum);
            (scale, minimum) = SixBitPairs.Read(pairs, group + 1);
            float highScale = d * scale, highMinimum = -(e * minimum);
            Vector128<byte> first = Lanes.Load(block, 16 + 16 * group), second = Lanes.Load(block, 32 + 16 * group);
            Lanes.Store(Lanes.LowNibbles(first), lowScale, lowMinimum, weights, 32 * group);
            Lanes.Store(Lanes.LowNibbles(second), lowScale, lowMinimum, weights, 32 * group + 16);
            Lanes.Store(Lanes.HighNibbles(first), highScale, highMinimum, weights, 32 * group + 32);
            Lanes.Store(Lanes.HighNibbles(second), highScale, highMinimum, weights, 32 * group + 48);
        }
    }
}
