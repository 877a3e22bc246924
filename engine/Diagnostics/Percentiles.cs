namespace Tare.Diagnostics;

/// <summary>Percentiles by linear interpolation.</summary>
internal static class Percentiles
{
    /// <summary>The value below which a share of the sorted values lies.</summary>
    public static double Of(double[] sorted, double share)
    {
        double at = share * (sorted.Length - 1);
        int below = (int)at;
        return below + 1 < sorted.Length ? sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]) : sorted[below];
    }
}
