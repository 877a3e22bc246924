using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>Mean 0, scale 1 / √(mean x² + ε).</summary>
internal readonly struct RmsNormStatistics : INormStatistics
{
    public static (float Mean, float Scale) Of<TRow>(TRow x, int count, NormSpec spec) where TRow : struct, IRow => (0, (float)(1 / Math.Sqrt((double)Sums.OfSquares(x, count) / count + spec.Epsilon)));
}
