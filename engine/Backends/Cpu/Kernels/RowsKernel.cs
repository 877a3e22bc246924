using System.Collections.Immutable;
using Tare.Backends.Cpu.Kernels.Norms;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>
/// Runs row functions one after the other over a few rows at a time; threads split the rows. Values that nothing outside reads live in the thread's scratch. An op that is not fused is a chain of one function.
/// </summary>
internal sealed unsafe class RowsKernel : CpuKernel
{
    private const int CacheBytes = 64 * 1024;    // what all values of the rows in work may take: L2, with room for weights
    private const int SerialElements = 16 * 1024; // below this, meeting costs the threads more than working together saves

    private readonly KernelContext _context;
    private readonly RowFunction[] _functions;
    private readonly int[][] _inputs, _outputs; // [functions]: indices of values
    private readonly float*[] _pointers;        // [values], [rows, width] each; null = in scratch, or a cache
    private readonly int[] _strides;            // [values]: elements from row to row
    private readonly bool[] _whole;             // [values]: on another axis, so that a function picks its rows
    private readonly long[] _scratch;           // [values]: offset in floats for one row of work, −1 = none
    private readonly int _rowsAtATime, _most;
    private readonly long _scratchFloats;       // of inner values, for one row
    private readonly long _elements;            // of all values, for one row
    private readonly RowAxis _rows;

    /// <summary>Binds the parts of a node: the op itself, or those of a <see cref="FusedRows"/>.</summary>
    public RowsKernel(KernelContext context, Node node, int index, Func<Op, ImmutableArray<ValueInfo>, RowFunction> bind)
    {
        _context = context;
        Name = node.Op.Name;
        _rows = node.Outputs[0].Rows;
        var fused = node.Op as FusedRows ?? FusedRows.Of(node);
        var types = fused.TypesOf([.. node.Inputs.Select(context.TypeOf)]);
        (_pointers, _whole, _scratch) = (new float*[types.Length], new bool[types.Length], new long[types.Length]);
        _strides = new int[types.Length];
        for (int i = 0; i < node.Inputs.Length; i++)
        {
            _strides[i] = KernelContext.Stride(context.Graph.OpOf(node.Inputs[i]), types[i]);
            _pointers[i] = context.Input(node, i);
            _whole[i] = types[i].Rows != _rows;
        }
        for (int i = 0; i < fused.Results.Length; i++) _pointers[fused.Results[i]] = context.Pointer(new Value(index, i));
        for (int i = 0; i < types.Length; i++)
        {
            _scratch[i] = -1;
            if (i < node.Inputs.Length || fused.Results.Contains(i) || types[i].Element == ElementType.KvCache) continue;
            _scratch[i] = _scratchFloats;
            _scratchFloats += (types[i].Width + 15L) / 16 * 16;
        }
        int next = node.Inputs.Length;
        List<(RowFunction Function, int[] Inputs, int[] Outputs)> functions = [];
        Op? before = null;
        foreach (var part in fused.Parts)
        {
            var function = bind(part.Op, [.. part.Inputs.Select(v => types[v])]);
            int[] outputs = [.. Enumerable.Range(next, part.Outputs)];
            for (; next <= outputs[^1]; next++) _strides[next] = KernelContext.Stride(part.Op, types[next]);
            if (AddNormFunction.Of(before, outputs[0] - 1, function, part.Inputs) is { } joined) functions[^1] = (joined, functions[^1].Inputs, [outputs[0] - 1, outputs[0]]);
            else functions.Add((function, [.. part.Inputs], outputs));
            before = part.Op;
        }
        (_functions, _inputs, _outputs) = ([.. functions.Select(f => f.Function)], [.. functions.Select(f => f.Inputs)], [.. functions.Select(f => f.Outputs)]);
        _elements = _strides.Sum(w => (long)w);
        _most = _inputs.Concat(_outputs).Max(v => v.Length);
        _rowsAtATime = _functions.Length == 1 ? int.MaxValue : (int)Math.Clamp(CacheBytes / (4 * _elements), 1, 32);
        long rows = Math.Min(_rowsAtATime, context.MaxRows(_rows));
        context.ReserveScratch(_scratchFloats * rows * sizeof(float) + _functions.Max(f => f.ScratchBytes));
    }

    public override string Name { get; }

    public override RowAxis? RowLocal => _whole.Contains(true) ? null : _rows;

    public override bool IsSerial(CpuStep step) => (long)step.RowsOf(_rows) * _elements < SerialElements;

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (first, end) = Part(step.RowsOf(_rows), thread, threads);
        RunRows(step, first, end, thread);
    }

    public override void RunRows(CpuStep step, int first, int end, int thread)
    {
        byte* scratch = _context.Scratch(thread), own = scratch + _scratchFloats * Math.Min(_rowsAtATime, _context.MaxRows(_rows)) * sizeof(float);
        RowBlock* values = stackalloc RowBlock[_pointers.Length], x = stackalloc RowBlock[_most], y = stackalloc RowBlock[_most];
        int count;
        for (int row = first; row < end; row += count)
        {
            count = Math.Min(_rowsAtATime, end - row);
            for (int i = 0; i < _pointers.Length; i++)
                values[i] = _scratch[i] >= 0 ? new RowBlock((float*)scratch + _scratch[i] * count, _strides[i]) : new RowBlock(_pointers[i] + (_whole[i] ? 0 : (long)row * _strides[i]), _strides[i]);
            for (int f = 0; f < _functions.Length; f++)
            {
                int[] inputs = _inputs[f], outputs = _outputs[f];
                for (int i = 0; i < inputs.Length; i++) x[i] = values[inputs[i]];
                for (int i = 0; i < outputs.Length; i++) y[i] = values[outputs[i]];
                _functions[f].Run(step, row, count, x, y, own);
            }
        }
    }
}
