using Tare.Backends.Cpu.Caches;
using Tare.Execution;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Writes the rows' keys and values into the pages of their positions.</summary>
internal sealed unsafe class KvAppendFunction(KvAppend op) : RowFunction
{
    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        var (group, index) = step.State!.Layout.Kv.Find(op.Layer);
        for (int r = 0; r < count; r++)
        {
            int position = step.Positions[row + r];
            CacheRows.Append(step.State, group, index, step.Page(step.SequenceOf[row + r], group, position / KvLayout.PageTokens), position % KvLayout.PageTokens, x[0][r], op.ValueWidth == 0 ? null : x[1][r]);
        }
    }
}
