namespace Tare.Capture.Statistics;

/// <summary>Count, mean, sums of powers of deviations (not divided by the count), smallest and largest value of a sample.</summary>
public readonly record struct Moments(double Count, double Mean, double M2, double M3, double M4, double Min, double Max)
{
    /// <summary>No values.</summary>
    public static Moments Empty => new(0, 0, 0, 0, 0, double.PositiveInfinity, double.NegativeInfinity);

    /// <summary>Σ(x − mean)² / n.</summary>
    public double Variance => M2 / Count;

    /// <summary>Square root of the variance.</summary>
    public double Deviation => Math.Sqrt(Variance);

    /// <summary>Skewness of the sample; 0 where nothing varies.</summary>
    public double Skewness => M2 > 0 ? M3 / Count / Math.Pow(Variance, 1.5) : 0;

    /// <summary>Excess kurtosis of the sample; 0 where nothing varies.</summary>
    public double ExcessKurtosis => M2 > 0 ? Count * M4 / (M2 * M2) - 3 : 0;

    /// <summary>Both samples together (Chan et al. 1979; Pébay 2008, SAND2008-6212, equations 2.1 – 2.5). The order of the two matters in the last bits.</summary>
    public static Moments Merge(in Moments a, in Moments b)
    {
        if (a.Count == 0) return b;
        if (b.Count == 0) return a;
        double n = a.Count + b.Count, d = b.Mean - a.Mean, dn = d / n, ab = a.Count * b.Count;
        return new Moments(n, a.Mean + dn * b.Count,
            a.M2 + b.M2 + d * dn * ab,
            a.M3 + b.M3 + d * dn * dn * ab * (a.Count - b.Count) + 3 * dn * (a.Count * b.M2 - b.Count * a.M2),
            a.M4 + b.M4 + d * dn * dn * dn * ab * (a.Count * a.Count - ab + b.Count * b.Count) + 6 * dn * dn * (a.Count * a.Count * b.M2 + b.Count * b.Count * a.M2) + 4 * dn * (a.Count * b.M3 - b.Count * a.M3),
            Math.Min(a.Min, b.Min), Math.Max(a.Max, b.Max));
    }
}
