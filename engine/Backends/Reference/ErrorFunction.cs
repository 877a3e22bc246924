namespace Tare.Backends.Reference;

/// <summary>
/// erf and erfc in F64. Small arguments by the Maclaurin series of erf, larger ones by the continued fraction of erfc (Abramowitz and Stegun 1964, 7.1.5 and 7.1.14, the latter
/// evaluated by the modified Lentz method); both to the last few bits.
/// </summary>
internal static class ErrorFunction
{
    public static double Erf(double x)
    {
        if (double.IsNaN(x)) return x;
        double a = Math.Abs(x);
        double value = a < 2.5 ? Series(a) : 1 - Tail(a);
        return x < 0 ? -value : value;
    }

    /// <summary>1 − erf x without cancellation for large x.</summary>
    public static double Erfc(double x)
    {
        if (double.IsNaN(x)) return x;
        if (x < 0) return 2 - Erfc(-x);
        return x < 1 ? 1 - Series(x) : Tail(x);
    }

    // erf x = 2/√π · e^(−x²) Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1)): all terms positive, so nothing cancels.
    private static double Series(double x)
    {
        double term = x, sum = x;
        for (int n = 1; Math.Abs(term) > 1e-18 * Math.Abs(sum) && n < 200; n++) sum += term *= 2 * x * x / (2 * n + 1);
        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }

    // erfc x = e^(−x²)/√π · 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + …)))).
    private static double Tail(double x)
    {
        if (x > 27) return 0;
        double f = x, c = x, d = 0;
        for (int n = 1; n < 2000; n++)
        {
            d = 1 / (x + n / 2.0 * d);
            c = x + n / 2.0 / c;
            double delta = c * d;
            f *= delta;
            if (Math.Abs(delta - 1) < 1e-16) break;
        }
        return Math.Exp(-x * x) / (Math.Sqrt(Math.PI) * f);
    }
}
