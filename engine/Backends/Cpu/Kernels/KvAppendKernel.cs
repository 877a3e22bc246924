using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Writes the rows' keys (transposed) and values into the pages of their positions.</summary>
internal sealed unsafe class KvAppendKernel(KernelContext context, KvAppend op, Node node) : CpuKernel
{
    private readonly float* _keys = context.Input(node, 0);                                   // [rows, KeyWidth]
    private readonly float* _values = op.ValueWidth == 0 ? null : context.Input(node, 1); // [rows, ValueWidth]

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (group, index) = step.State!.Layout.Kv.Find(op.Layer);
        var (first, end) = Part(step.Rows, thread, threads);
        for (int r = first; r < end; r++)
        {
            int position = step.Positions[r], within = position % KvLayout.PageTokens;
            float* page = step.State.Keys(group, step.Page(step.SequenceOf[r], group, position / KvLayout.PageTokens), index);
            float* key = _keys + (long)r * op.KeyWidth;
            for (int i = 0; i < op.KeyWidth; i++) page[(long)i * KvLayout.PageTokens + within] = key[i];
            if (op.ValueWidth > 0)
                new ReadOnlySpan<float>(_values + (long)r * op.ValueWidth, op.ValueWidth).CopyTo(new Span<float>(page + (long)KvLayout.PageTokens * op.KeyWidth + (long)within * op.ValueWidth, op.ValueWidth));
        }
    }
}
