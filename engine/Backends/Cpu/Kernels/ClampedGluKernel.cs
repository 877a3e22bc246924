using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>y = (clamp(up) + 1) · g · σ(α g), g = min(gate, limit), over all elements of [rows, width].</summary>
internal sealed unsafe class ClampedGluKernel(KernelContext context, ClampedGlu op, Node node, Value value) : CpuKernel
{
    private readonly float* _gate = context.Input(node, 0), _up = context.Input(node, 1), _y = context.Pointer(value);
    private readonly ValueInfo _type = context.TypeOf(value);

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        long total = (long)step.RowsOf(_type.Rows) * _type.Width;
        var (first, end) = Part(checked((int)((total + Lanes.Count - 1) / Lanes.Count)), thread, threads);
        Vector512<float> limit = Vector512.Create((float)op.Limit), alpha = Vector512.Create((float)op.Alpha);
        for (int block = first; block < end; block++)
        {
            long i = (long)block * Lanes.Count;
            int count = (int)Math.Min(Lanes.Count, total - i);
            var gate = Vector512.Min(Lanes.Load(_gate + i, count), limit);
            var up = Vector512.Max(Vector512.Min(Lanes.Load(_up + i, count), limit), -limit);
            Lanes.Store((up + Vector512<float>.One) * gate * Functions.Sigmoid(alpha * gate), _y + i, count);
        }
    }
}
