using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>Scale 1 / √(mean (x − mean)² + ε); the variance in a second pass, since E[x²] − E[x]² loses it where the mean is large.</summary>
internal sealed unsafe class LayerNormFunction(KernelContext context, NormSpec spec, Weight? gain, Weight? bias, int width) : NormFunction(context, spec, gain, bias, width)
{
    protected override (float Mean, float Scale) Statistics(float* x)
    {
        float mean = Sums.Of(x, Group) / Group;
        return (mean, (float)(1 / Math.Sqrt((double)Sums.OfSquares(x, Group, mean) / Group + Spec.Epsilon)));
    }
}
