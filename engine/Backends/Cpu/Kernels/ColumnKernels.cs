using System.Collections.Immutable;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Cuts each group of a row at the same places: output k holds, group after group, column range k.</summary>
internal sealed unsafe class SplitGroupsKernel : CpuKernel
{
    private readonly float* _x;
    private readonly float*[] _y;
    private readonly int[] _widths;
    private readonly int _groups, _width;
    private readonly RowAxis _rows;

    public SplitGroupsKernel(KernelContext context, int groups, ImmutableArray<int> widths, Node node, Value value)
    {
        _x = context.Input(node, 0);
        _groups = groups;
        _width = context.TypeOf(node.Inputs[0]).Width;
        _rows = context.TypeOf(node.Inputs[0]).Rows;
        _widths = [.. widths];
        _y = new float*[_widths.Length];
        for (int k = 0; k < _y.Length; k++) _y[k] = context.Pointer(value with { Output = k });
    }

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (first, end) = Part(step.RowsOf(_rows), thread, threads);
        for (int r = first; r < end; r++)
            for (int g = 0, start = 0; g < _groups; g++)
                for (int k = 0; k < _widths.Length; start += _widths[k++])
                    new ReadOnlySpan<float>(_x + (long)r * _width + start, _widths[k]).CopyTo(new Span<float>(_y[k] + ((long)r * _groups + g) * _widths[k], _widths[k]));
    }
}

/// <summary>The reverse: group g of the output is group g of each input, one after the other.</summary>
internal sealed unsafe class JoinGroupsKernel : CpuKernel
{
    private readonly float* _y;
    private readonly float*[] _x;
    private readonly int[] _widths; // of a group of each input
    private readonly int _groups;
    private readonly ValueInfo _type;

    public JoinGroupsKernel(KernelContext context, int groups, Node node, Value value)
    {
        _y = context.Pointer(value);
        _groups = groups;
        _type = context.TypeOf(value);
        _widths = [.. node.Inputs.Select(i => context.TypeOf(i).Width / groups)];
        _x = new float*[_widths.Length];
        for (int k = 0; k < _x.Length; k++) _x[k] = context.Input(node, k);
    }

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (first, end) = Part(step.RowsOf(_type.Rows), thread, threads);
        for (int r = first; r < end; r++)
            for (int g = 0, start = 0; g < _groups; g++)
                for (int k = 0; k < _widths.Length; start += _widths[k++])
                    new ReadOnlySpan<float>(_x[k] + ((long)r * _groups + g) * _widths[k], _widths[k]).CopyTo(new Span<float>(_y + (long)r * _type.Width + start, _widths[k]));
    }
}

/// <summary>Keeps the rows whose logits are wanted.</summary>
internal sealed unsafe class SelectRowsKernel(KernelContext context, Node node, Value value) : CpuKernel
{
    private readonly float* _x = context.Input(node, 0), _y = context.Pointer(value);
    private readonly int _width = context.TypeOf(value).Width;

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (first, end) = Part(step.OutputCount, thread, threads);
        for (int r = first; r < end; r++) new ReadOnlySpan<float>(_x + (long)step.OutputRows[r] * _width, _width).CopyTo(new Span<float>(_y + (long)r * _width, _width));
    }
}

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
