using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>y = (offset + gain + α tanh(x·β)) · x / √(mean x² + ε): two reductions, then one pass. The product is summed in F64: its error would pass through tanh.</summary>
internal sealed unsafe class DynamicGainFunction(KernelContext context, Norm op, int width) : RowFunction
{
    private readonly float* _gain = context.Weights.Values(op.Gain!).Pointer, _alpha = context.Weights.Values(op.Alpha!).Pointer, _direction = context.Weights.Values(op.Direction!).Pointer; // [width] each

    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++)
        {
            double product = 0;
            for (int i = 0; i < width; i++) product += (double)x[0][r][i] * _direction[i];
            double scale = op.Spec.OutputScale / Math.Sqrt((double)Sums.OfSquares(x[0][r], width) / width + op.Spec.Epsilon);
            Apply(x[0][r], y[0][r], (float)Math.Tanh(product), (float)scale);
        }
    }

    private void Apply(float* x, float* y, float gate, float scale)
    {
        Vector512<float> t = Vector512.Create(gate), s = Vector512.Create(scale), offset = Vector512.Create((float)op.Spec.GainOffset);
        for (int i = 0; i < width; i += Lanes.Count)
        {
            int count = width - i;
            var gain = Vector512.FusedMultiplyAdd(t, Lanes.Load(_alpha + i, count), offset + Lanes.Load(_gain + i, count));
            Lanes.Store(Lanes.Load(x + i, count) * s * gain, y + i, count);
        }
    }
}
