using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization;

/// <summary>
/// 256 six-bit integers around 32 with a signed byte as scale for every 16: <c>0:128 low nibbles</c> (64 apart), <c>128:192 high pairs</c> (32 apart), <c>192:208 scales</c>,
/// <c>208:210 d</c>.
/// </summary>
internal readonly struct Q6_K : IBlockLayout
{
    public static TensorType Type => TensorType.Q6_K;
    public static int ValuesPerBlock => 256;
    public static int BytesPerBlock => 210;

    public static void DecodePlain(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 208);
        for (int i = 0; i < 256; i++)
        {
            int low = block[64 * (i / 128) + i % 64] >> 4 * (i / 64 % 2) & 15, high = block[128 + 32 * (i / 128) + i % 32] >> 2 * (i / 32 % 4) & 3;
            weights[i] = d * (sbyte)block[192 + i / 16] * ((low | high << 4) - 32);
        }
    }

    public static void DecodeVector(ReadOnlySpan<byte> block, Span<float> weights)
    {
        float d = F16.Read(block, 208);
        for (int half = 0; half < 2; half++)
        {
            for (int lane = 0; lane < 2; lane++) // group = 2 · quarter + lane
            {
                var high = Lanes.Load(block, 128 + 32 * half + 16 * lane);
                Vector128<byte> first = Lanes.Load(block, 64 * half + 16 * lane), second = Lanes.Load(block, 64 * half + 32 + 16 * lane);
                int group = 8 * half + lane;
                StoreGroup(Lanes.LowNibbles(first), high << 4, block, d, weights, group);
                StoreGroup(Lanes.LowNibbles(second), high << 2, block, d, weights, group + 2);
                StoreGroup(Lanes.HighNibbles(first), high, block, d, weights, group + 4);
                StoreGroup(Lanes.HighNibbles(second), high >>> 2, block, d, weights, group + 6);
            }
        }
    }

    /// <summary>Stores one group of 16 from its nibbles and the byte whose bits 4 and 5 are the high pair.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreGroup(Vector128<byte> low, Vector128<byte> high, ReadOnlySpan<byte> block, float d, Span<float> weights, int group)
    {
        var integers = (low | high & Vector128.Create((byte)0x30)).AsSByte() - Vector128.Create((sbyte)32);
        Lanes.Store(integers, d * (sbyte)block[192 + group], weights, 16 * group);
    }
}
