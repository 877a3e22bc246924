using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization.Encoding;

/// <summary>
/// The integers of a block of Q4_K or Q5_K: x ≈ (d · a) · q − (e · b) with a six-bit scale a and minimum b for each 32 values. Groups are searched one by one; then d and e are fitted once more to all 256 values, with the
/// rounded a, b and q, and kept where that is nearer.
/// </summary>
internal static class AffineBlock
{
    /// <summary>Rounds 256 values; q in 0 … <paramref name="most"/>. Writes <c>d</c>, <c>e</c> and the twelve bytes of pairs into the first 16 bytes of the block, and the integers [256].</summary>
    public static void Round(ReadOnlySpan<float> values, int most, Span<byte> block, Span<byte> integers)
    {
        Span<float> scales = stackalloc float[8], minima = stackalloc float[8];
        float largestScale = 0, largestMinimum = 0;
        for (int g = 0; g < 8; g++)
        {
            (scales[g], float minimum) = ScaleSearch.Affine(Vector512.Create(values[(32 * g)..]), Vector512.Create(values[(32 * g + 16)..]), most);
            minima[g] = -minimum;
            (largestScale, largestMinimum) = (MathF.Max(largestScale, scales[g]), MathF.Max(largestMinimum, minima[g]));
        }
        Half d = (Half)(largestScale / 63), e = (Half)(largestMinimum / 63);
        Span<byte> a = stackalloc byte[8], b = stackalloc byte[8];
        for (int g = 0; g < 8; g++)
        {
            a[g] = SixBits(scales[g] * PlainScales.Inverse(largestScale / 63));
            b[g] = SixBits(minima[g] * PlainScales.Inverse(largestMinimum / 63));
        }
        float error = Integers(values, most, (float)d, (float)e, a, b, integers);
        Span<byte> refined = stackalloc byte[256];
        var (betterD, betterE) = Fit(values, a, b, integers);
        if (Integers(values, most, (float)betterD, (float)betterE, a, b, refined) < error)
        {
            (d, e) = (betterD, betterE);
            refined.CopyTo(integers);
        }
        System.Buffers.Binary.BinaryPrimitives.WriteHalfLittleEndian(block, d);
        System.Buffers.Binary.BinaryPrimitives.WriteHalfLittleEndian(block[2..], e);
        SixBitPairs.Write(block.Slice(4, 12), a, b);
    }

    private static byte SixBits(float value) => (byte)Math.Clamp((int)MathF.Round(value), 0, 63);

    // The nearest integers for given scales; returns the sum of squared errors.
    private static float Integers(ReadOnlySpan<float> values, int most, float d, float e, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, Span<byte> integers)
    {
        var error = Vector512<float>.Zero;
        var high = Vector512.Create((float)most);
        for (int i = 0; i < 256; i += 16)
        {
            float scale = d * a[i / 32], inverse = PlainScales.Inverse(scale);
            Vector512<float> x = Vector512.Create(values[i..]), minimum = Vector512.Create(e * b[i / 32]);
            var q = Vector512.Min(Vector512.Max(Vector512.Round((x + minimum) * inverse), Vector512<float>.Zero), high);
            var off = q * scale - minimum - x;
            error += off * off;
            var wide = Vector512.ConvertToInt32(q);
            for (int lane = 0; lane < 16; lane++) integers[i + lane] = (byte)wide[lane];
        }
        return ScaleSearch.Sum(error);
    }

    // Least squares for d and e over the block.
    private static (Half D, Half E) Fit(ReadOnlySpan<float> values, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, ReadOnlySpan<byte> integers)
    {
        double uu = 0, uv = 0, vv = 0, ux = 0, vx = 0;
        for (int i = 0; i < 256; i++)
        {
            double u = a[i / 32] * integers[i], v = -b[i / 32];
            (uu, uv, vv, ux, vx) = (uu + u * u, uv + u * v, vv + v * v, ux + u * values[i], vx + v * values[i]);
        }
        double determinant = uu * vv - uv * uv;
        if (determinant > 1e-9 * uu * vv) return ((Half)((ux * vv - vx * uv) / determinant), (Half)((vx * uu - ux * uv) / determinant));
        return ((Half)(uu > 0 ? ux / uu : 0), (Half)0);
    }
}
