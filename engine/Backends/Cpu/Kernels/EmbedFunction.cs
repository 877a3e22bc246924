using Tare.Backends.Cpu.Weights;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>y[r] = table[index[r] + offset], decoded from the file row by row. Indices were checked before the step.</summary>
internal sealed unsafe class EmbedFunction(KernelContext context, Embed op) : RowFunction
{
    private readonly RowTable _table = context.Weights.Table(op.Table);

    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++) _table.Read((op.Constant ? 0 : *(int*)x[0][r]) + op.Offset, new Span<float>(y[0][r], op.Table.Width));
    }
}
