using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>Mean 0, scale 1 / max(‖x‖, ε).</summary>
internal readonly struct UnitLengthStatistics : INormStatistics
{
    public static (float Mean, float Scale) Of<TRow>(TRow x, int count, NormSpec spec) where TRow : struct, IRow => (0, (float)(1 / Math.Max(Math.Sqrt(Sums.OfSquares(x, count)), spec.Epsilon)));
}
