using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>Mean 0, scale 1 / √((Σc² + (Σc)²) / d + ε) of a row stored without one coordinate; in the isometric basis without (Σc)². d is the width of the whole row.</summary>
internal sealed unsafe class CompressedRmsNormFunction(KernelContext context, NormSpec spec, Weight? gain, Weight? bias, int width) : NormFunction(context, spec, gain, bias, width)
{
    protected override (float Mean, float Scale) Statistics(float* x)
    {
        double squares = Sums.OfSquares(x, Group, 0), sum = Spec.Kind == NormKind.CompressedRmsNorm ? Sums.Of(x, Group) : 0;
        return (0, (float)(1 / Math.Sqrt((squares + sum * sum) / Spec.FullWidth + Spec.Epsilon)));
    }
}
