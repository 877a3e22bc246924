using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>Mean 0, scale 1 / √((Σc² + (Σc)²) / d + ε) of a row stored without one coordinate; in the isometric basis without (Σc)². d is the width of the whole row. Nothing is subtracted, so one pass is enough.</summary>
internal readonly struct CompressedRmsNormStatistics : INormStatistics
{
    public static (float Mean, float Scale) Of<TRow>(TRow x, int count, NormSpec spec) where TRow : struct, IRow
    {
        var (sum, squares) = spec.Kind == NormKind.CompressedRmsNorm ? Sums.OfBoth(x, count) : (0, Sums.OfSquares(x, count));
        return (0, (float)(1 / Math.Sqrt(((double)squares + (double)sum * sum) / spec.FullWidth + spec.Epsilon)));
    }
}
