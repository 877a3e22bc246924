using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>
/// Scale 1 / √(mean (x − mean)² + ε). The variance is E[x²] − mean² where mean² is at most a quarter of E[x²], so that the difference loses no digit, else a second pass: what a row needs depends on the row alone.
/// </summary>
internal readonly struct LayerNormStatistics : INormStatistics
{
    public static unsafe (float Mean, float Scale) Of<TRow>(TRow x, int count, NormSpec spec) where TRow : struct, IRow
    {
        var (sum, squares) = Sums.OfBoth(x, count);
        float mean = sum / count;
        double variance = (double)squares / count - (double)mean * mean;
        if (!((double)mean * mean <= 0.25 * squares / count) || float.IsInfinity(squares)) variance = (double)Sums.OfSquares(x.Stored, count, mean) / count;
        return (mean, (float)(1 / Math.Sqrt(variance + spec.Epsilon)));
    }
}
