using System.Collections.Immutable;
using Tare.Backends.Cpu.Kernels;
using Tare.Backends.Cpu.Kernels.Norms;
using Tare.Backends.Cpu.Weights;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu;

/// <summary>An op of a chain: the arrays that it reads and the one that it writes (which may be one of them). No op: a plain copy.</summary>
internal readonly record struct RowChainPart(Op? Op, ImmutableArray<int> Inputs, int Output);

/// <summary>
/// The row functions of a program over arrays of one's own, without the rest of a program: fused (all functions over a few rows, then the next rows, as <see cref="RowsKernel"/> does) or one function after the
/// other over all rows, with a meeting of the threads between them. For measurements of norms alone.
/// </summary>
internal sealed unsafe class RowChain : IPoolWork, IDisposable
{
    private const int CacheBytes = 64 * 1024; // as in RowsKernel

    private readonly WorkerPool _pool;
    private readonly RowArrays _arrays;
    private readonly CpuWeights _weights = new(threads: 1); // vectors only, nothing to pack
    private readonly KernelContext _context;
    private readonly (RowFunction Function, int[] Inputs, int[] Outputs)[] _parts;
    private readonly bool _fused;
    private readonly int _width, _rowsAtATime;
    private int _repeats;

    /// <summary>Binds parts to rows of <paramref name="width"/> elements, that lie one behind the other.</summary>
    public RowChain(WorkerPool pool, RowArrays arrays, int width, bool fused, ImmutableArray<RowChainPart> parts)
    {
        (_pool, _arrays, _width, _fused) = (pool, arrays, width, fused);
        var graph = new GraphBuilder();
        var x = graph.Residual(width);
        _context = new KernelContext(graph.Finish(new GraphOutput("x", x)), _weights, new ProgramLimits(1, 1, 1), pool.Threads);
        var type = graph.TypeOf(x);
        _parts = [.. parts.Select(p => (p.Op is null ? new CopyFunction(width) : CpuOps.Function(_context, p.Op, [.. p.Inputs.Select(_ => type)]), p.Inputs.ToArray(), new[] { p.Output }))];
        if (fused && _parts.Length == 2 && AddNormFunction.Of(parts[0].Op, parts[0].Output, _parts[1].Function, parts[1].Inputs) is { } joined)
            _parts = [(joined, _parts[0].Inputs, [parts[0].Output, parts[1].Output])];
        _rowsAtATime = _parts.Length == 1 || !fused ? int.MaxValue : Math.Clamp(CacheBytes / (sizeof(float) * arrays.Count * width), 1, 32);
    }

    /// <summary>Runs the chain over all rows, several times.</summary>
    public void Run(int repeats)
    {
        _repeats = repeats;
        _pool.Run(this);
    }

    public void Dispose()
    {
        _context.Dispose();
        _weights.Dispose();
    }

    void IPoolWork.Run(int thread)
    {
        int first = (int)((long)_arrays.Rows * thread / _pool.Threads), end = (int)((long)_arrays.Rows * (thread + 1) / _pool.Threads);
        for (int r = 0; r < _repeats; r++)
            if (_fused) RunParts(0, _parts.Length, first, end);
            else
                for (int i = 0; i < _parts.Length; i++)
                {
                    RunParts(i, i + 1, first, end);
                    if (i < _parts.Length - 1 || r < _repeats - 1) _pool.Barrier(thread);
                }
        _pool.Barrier(thread);
    }

    private void RunParts(int from, int to, int first, int end)
    {
        RowBlock* x = stackalloc RowBlock[2], y = stackalloc RowBlock[2];
        int count;
        for (int row = first; row < end; row += count)
        {
            count = Math.Min(_rowsAtATime, end - row);
            for (int i = from; i < to; i++)
            {
                var (function, inputs, outputs) = _parts[i];
                for (int k = 0; k < inputs.Length; k++) x[k] = Block(inputs[k], row);
                for (int k = 0; k < outputs.Length; k++) y[k] = Block(outputs[k], row);
                function.Run(null!, row, count, x, y, null); // norms and pointwise functions look at neither step nor scratch
            }
        }
    }

    private RowBlock Block(int array, int row) => new(_arrays[array].Pointer + (long)row * _width, _width);

    private sealed class CopyFunction(int width) : RowFunction
    {
        public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
        {
            long bytes = (long)count * width * sizeof(float);
            Buffer.MemoryCopy(x[0].First, y[0].First, bytes, bytes);
        }
    }
}
