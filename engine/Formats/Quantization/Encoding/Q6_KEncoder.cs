using System.Buffers.Binary;
using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization.Encoding;

/// <summary>Q6_K: integers −32 … 31 with a signed byte as scale for each 16; d is fitted once more to the whole block.</summary>
internal static class Q6_KEncoder
{
    public static void Encode(ReadOnlySpan<float> values, Span<byte> block)
    {
        Span<float> scales = stackalloc float[16];
        for (int g = 0; g < 16; g++) scales[g] = ScaleSearch.Symmetric(Vector512.Create(values[(16 * g)..]), -32, 31);
        float extreme = PlainScales.Extreme(scales), inverse = PlainScales.Inverse(extreme / -128);
        Span<sbyte> a = stackalloc sbyte[16], integers = stackalloc sbyte[256], refined = stackalloc sbyte[256];
        for (int g = 0; g < 16; g++) a[g] = (sbyte)Math.Clamp((int)MathF.Round(scales[g] * inverse), -128, 127);
        Half d = (Half)(extreme / -128), better = d;
        float error = Integers(values, (float)d, a, integers);
        if (Integers(values, (float)(better = Fit(values, a, integers)), a, refined) < error)
        {
            d = better;
            refined.CopyTo(integers);
        }
        Pack(integers, a, d, block);
    }

    private static float Integers(ReadOnlySpan<float> values, float d, ReadOnlySpan<sbyte> a, Span<sbyte> integers)
    {
        var error = Vector512<float>.Zero;
        Vector512<float> least = Vector512.Create(-32f), most = Vector512.Create(31f);
        for (int g = 0; g < 16; g++)
        {
            float scale = d * a[g];
            var x = Vector512.Create(values[(16 * g)..]);
            var q = Vector512.Min(Vector512.Max(Vector512.Round(x * PlainScales.Inverse(scale)), least), most);
            var off = q * scale - x;
            error += off * off;
            var wide = Vector512.ConvertToInt32(q);
            for (int lane = 0; lane < 16; lane++) integers[16 * g + lane] = (sbyte)wide[lane];
        }
        return ScaleSearch.Sum(error);
    }

    private static Half Fit(ReadOnlySpan<float> values, ReadOnlySpan<sbyte> a, ReadOnlySpan<sbyte> integers)
    {
        double uu = 0, ux = 0;
        for (int i = 0; i < 256; i++)
        {
            double u = a[i / 16] * integers[i];
            (uu, ux) = (uu + u * u, ux + u * values[i]);
        }
        return (Half)(uu > 0 ? ux / uu : 0);
    }

    private static void Pack(ReadOnlySpan<sbyte> integers, ReadOnlySpan<sbyte> a, Half d, Span<byte> block)
    {
        block.Clear();
        for (int i = 0; i < 256; i++)
        {
            int q = integers[i] + 32;
            block[64 * (i / 128) + i % 64] |= (byte)((q & 15) << 4 * (i / 64 % 2));
            block[128 + 32 * (i / 128) + i % 32] |= (byte)(q >> 4 << 2 * (i / 32 % 4));
        }
        for (int g = 0; g < 16; g++) block[192 + g] = (byte)a[g];
        BinaryPrimitives.WriteHalfLittleEndian(block[208..], d);
    }
}
