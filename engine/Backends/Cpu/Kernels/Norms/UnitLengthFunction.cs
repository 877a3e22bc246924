using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>Mean 0, scale 1 / max(‖x‖, ε).</summary>
internal sealed unsafe class UnitLengthFunction(KernelContext context, NormSpec spec, Weight? gain, Weight? bias, int width) : NormFunction(context, spec, gain, bias, width)
{
    protected override (float Mean, float Scale) Statistics(float* x) => (0, (float)(1 / Math.Max(Math.Sqrt(Sums.OfSquares(x, Group, 0)), Spec.Epsilon)));
}
