using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>Scale 1 / √ε for every row; the mean where the norm centers.</summary>
internal readonly struct StaticNormStatistics : INormStatistics
{
    public static (float Mean, float Scale) Of<TRow>(TRow x, int count, NormSpec spec) where TRow : struct, IRow
    {
        float scale = (float)(1 / Math.Sqrt(spec.Epsilon));
        if (spec.Center) return (Sums.Of(x, count) / count, scale);
        x.StoreAll(count);
        return (0, scale);
    }
}
