using Tare.Backends.Cpu.Caches;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Writes the rows' keys and values into the pages of their positions.</summary>
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
            int position = step.Positions[r];
            CacheRows.Append(step.State, group, index, step.Page(step.SequenceOf[r], group, position / KvLayout.PageTokens), position % KvLayout.PageTokens,
                _keys + (long)r * op.KeyWidth, _values is null ? null : _values + (long)r * op.ValueWidth);
        }
    }
}
