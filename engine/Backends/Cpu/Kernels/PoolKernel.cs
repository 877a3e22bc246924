using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>One row a sequence: the mean (rows added in order), the first or the last.</summary>
internal sealed unsafe class PoolKernel(KernelContext context, PoolKind kind, Node node, Value value) : CpuKernel
{
    private readonly float* _x = context.Input(node, 0), _y = context.Pointer(value);
    private readonly int _width = context.TypeOf(value).Width;

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (firstSequence, end) = Part(step.SequenceCount, thread, threads);
        for (int s = firstSequence; s < end; s++)
        {
            var sequence = step.Sequences[s];
            int first = kind == PoolKind.Last ? sequence.Rows - 1 : 0, count = kind == PoolKind.Mean ? sequence.Rows : 1;
            for (int i = 0; i < _width; i += Lanes.Count)
            {
                var sum = Lanes.Load(_x + (long)(sequence.FirstRow + first) * _width + i, _width - i);
                for (int r = 1; r < count; r++) sum += Lanes.Load(_x + (long)(sequence.FirstRow + r) * _width + i, _width - i);
                Lanes.Store(count == 1 ? sum : sum / Vector512.Create((float)count), _y + (long)s * _width + i, _width - i);
            }
        }
    }
}
