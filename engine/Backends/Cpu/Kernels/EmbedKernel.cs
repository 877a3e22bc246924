using Tare.Backends.Cpu.Weights;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>y[r] = table[index[r] + offset], decoded from the file row by row. Indices were checked before the step.</summary>
internal sealed unsafe class EmbedKernel(KernelContext context, Embed op, Node node, Value value) : CpuKernel
{
    private readonly RowTable _table = context.Weights.Table(op.Table);
    private readonly int* _index = op.Constant ? null : (int*)context.Input(node, 0); // [rows, 1]
    private readonly float* _y = context.Pointer(value);                               // [rows, width]

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        int width = op.Table.Width;
        var (first, end) = Part(step.Rows, thread, threads);
        for (int r = first; r < end; r++) _table.Read((_index is null ? 0 : _index[r]) + op.Offset, new Span<float>(_y + (long)r * width, width));
    }
}
