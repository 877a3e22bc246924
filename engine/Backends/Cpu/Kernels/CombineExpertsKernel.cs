using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>y[r] = Σ_j weights[r, j] x[r, j], in router-rank order: x [rows, used · width], weights [rows, used].</summary>
internal sealed unsafe class CombineExpertsKernel(KernelContext context, Node node, Value value) : CpuKernel
{
    private readonly float* _x = context.Input(node, 0), _weights = context.Input(node, 1), _y = context.Pointer(value);
    private readonly int _used = context.TypeOf(node.Inputs[1]).Width, _width = context.TypeOf(value).Width;
    private readonly RowAxis _rows = context.TypeOf(value).Rows;

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (first, end) = Part(step.RowsOf(_rows), thread, threads);
        for (int r = first; r < end; r++)
            for (int i = 0; i < _width; i += Lanes.Count)
            {
                var sum = Vector512<float>.Zero;
                for (int j = 0; j < _used; j++)
                    sum = Vector512.FusedMultiplyAdd(Lanes.Load(_x + ((long)r * _used + j) * _width + i, _width - i), Vector512.Create(_weights[(long)r * _used + j]), sum);
                Lanes.Store(sum, _y + (long)r * _width + i, _width - i);
            }
    }
}
