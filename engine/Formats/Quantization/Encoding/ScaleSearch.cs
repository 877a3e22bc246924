using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tare.Formats.Quantization.Encoding;

/// <summary>
/// Scales of small groups by search: round with several trial scales, solve for the scale (and minimum) that fits those integers best by weighted least squares, keep the best. Large weights of a model matter more, so
/// errors are weighted with the size of what is rounded.
/// </summary>
internal static class ScaleSearch
{
    /// <summary>Below this a group is taken as zero: its scale would be no F16.</summary>
    public const float Tiny = 1e-15f;

    /// <summary>s for x ≈ s · q of 16 values, q in <paramref name="least"/> … <paramref name="most"/> with |least| = most + 1; errors weigh x².</summary>
    public static float Symmetric(Vector512<float> x, int least, int most)
    {
        var magnitude = Vector512.Abs(x);
        float extreme = Maximum(magnitude);
        if (!(extreme > Tiny)) return 0;
        if (Maximum(x) < extreme) extreme = -extreme;
        Vector512<float> weight = x * x, low = Vector512.Create((float)least), high = Vector512.Create((float)most);
        float best = 0, scale = 0;
        for (int step = -9; step <= 9; step++)
        {
            var q = Vector512.Min(Vector512.Max(Vector512.Round(x * ((least + 0.1f * step) / extreme)), low), high);
            float xq = Sum(weight * x * q), qq = Sum(weight * q * q);
            if (qq > 0 && xq * xq > best * qq) (best, scale) = (xq * xq / qq, xq / qq);
        }
        return scale;
    }

    /// <summary>s ≥ 0 and m ≤ 0 for x ≈ s · q + m of 32 values, q in 0 … <paramref name="most"/>; errors weigh |x| + root mean square.</summary>
    public static (float Scale, float Minimum) Affine(Vector512<float> x0, Vector512<float> x1, int most)
    {
        float least = MathF.Min(0, -Maximum(Vector512.Max(-x0, -x1))), largest = Maximum(Vector512.Max(x0, x1));
        if (!(largest - least > Tiny)) return (0, least);
        var typical = Vector512.Create(MathF.Sqrt(Sum(x0 * x0 + x1 * x1) / 32));
        Vector512<float> w0 = typical + Vector512.Abs(x0), w1 = typical + Vector512.Abs(x1), high = Vector512.Create((float)most), floor = Vector512.Create(least);
        float w = Sum(w0 + w1), wx = Sum(w0 * x0 + w1 * x1), best = float.PositiveInfinity, scale = 0, minimum = least;
        for (int step = -10; step <= 9; step++)
        {
            float inverse = (most + 0.1f * step) / (largest - least);
            Vector512<float> q0 = Integers(x0, floor, inverse, high), q1 = Integers(x1, floor, inverse, high);
            Vector512<float> wq0 = w0 * q0, wq1 = w1 * q1;
            float wq = Sum(wq0 + wq1), wqq = Sum(wq0 * q0 + wq1 * q1), wxq = Sum(wq0 * x0 + wq1 * x1), determinant = w * wqq - wq * wq;
            if (!(wqq > 0)) continue;
            float s = (w * wxq - wx * wq) / determinant, m = (wqq * wx - wq * wxq) / determinant;
            if (!(determinant > 1e-6f * w * wqq) || m > 0) (s, m) = (wxq / wqq, 0); // one integer for all, or a minimum that can't be stored
            Vector512<float> e0 = q0 * s + Vector512.Create(m) - x0, e1 = q1 * s + Vector512.Create(m) - x1;
            float error = Sum(w0 * e0 * e0 + w1 * e1 * e1);
            if (s > 0 && error < best) (best, scale, minimum) = (error, s, m);
        }
        return (scale, minimum);
    }

    /// <summary>The sum of 16 lanes, always by the same tree.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector512<float> v)
    {
        var half = v.GetLower() + v.GetUpper();
        var quarter = half.GetLower() + half.GetUpper();
        return quarter[0] + quarter[2] + (quarter[1] + quarter[3]);
    }

    private static float Maximum(Vector512<float> v)
    {
        var half = Vector256.Max(v.GetLower(), v.GetUpper());
        var quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        return MathF.Max(MathF.Max(quarter[0], quarter[1]), MathF.Max(quarter[2], quarter[3]));
    }

    private static Vector512<float> Integers(Vector512<float> x, Vector512<float> floor, float inverse, Vector512<float> most)
        => Vector512.Min(Vector512.Max(Vector512.Round((x - floor) * inverse), Vector512<float>.Zero), most);
}
