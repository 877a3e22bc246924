using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Writes the rows' keys (transposed) and values into the pages of their positions.</summary>
internal sealed unsafe class KvAppendFunction(KvAppend op) : RowFunction
{
    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        var (group, index) = step.State!.Layout.Kv.Find(op.Layer);
        for (int r = 0; r < count; r++)
        {
            int position = step.Positions[row + r], within = position % KvLayout.PageTokens;
            float* page = step.State.Keys(group, step.Page(step.SequenceOf[row + r], group, position / KvLayout.PageTokens), index);
            float* key = x[0][r];
            for (int i = 0; i < op.KeyWidth; i++) page[(long)i * KvLayout.PageTokens + within] = key[i];
            if (op.ValueWidth > 0)
                new ReadOnlySpan<float>(x[1][r], op.ValueWidth).CopyTo(new Span<float>(page + (long)KvLayout.PageTokens * op.KeyWidth + (long)within * op.ValueWidth, op.ValueWidth));
        }
    }
}
