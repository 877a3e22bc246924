using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>Scale 1 / √ε for every row; the mean where the norm centers.</summary>
internal sealed unsafe class StaticNormFunction(KernelContext context, NormSpec spec, Weight? gain, Weight? bias, int width) : NormFunction(context, spec, gain, bias, width)
{
    private readonly float _scale = (float)(1 / Math.Sqrt(spec.Epsilon));

    protected override (float Mean, float Scale) Statistics(float* x) => (Spec.Center ? Sums.Of(x, Group) / Group : 0, _scale);
}
