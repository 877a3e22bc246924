using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>A product, then in a second phase, split by rows, the low-rank terms of the rows' adapter slots.</summary>
internal sealed unsafe class LinearKernel : CpuKernel
{
    private readonly KernelContext _context;
    private readonly ColumnsKernel _product;
    private readonly float* _x, _y; // [rows, in], [rows, out]
    private readonly int _width, _outputs;
    private readonly Adapter?[] _adapters;
    private readonly RowAxis _rows;

    public LinearKernel(KernelContext context, ColumnsKernel product, Linear op, Node node, Value value)
    {
        _context = context;
        _product = product;
        _x = context.Input(node, 0);
        _y = context.Pointer(value);
        _rows = context.TypeOf(value).Rows;
        (_width, _outputs) = (op.Weight.Width, (int)op.Weight.Rows);
        _adapters = [.. op.Adapters.Select(a => a is null ? null : new Adapter(context.Weights.Values(a.A), context.Weights.Values(a.B), (int)a.A.Rows, (float)a.Scale))];
        context.ReserveScratch(_adapters.Select(a => a?.Rank ?? 0).Max() * sizeof(float));
    }

    public override int Phases(CpuStep step, int threads) => step.HasAdapters ? 2 : 1;

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        if (phase == 0) _product.Run(step, 0, thread, threads);
        else Adapt(step, thread, threads, (float*)_context.Scratch(thread));
    }

    private void Adapt(CpuStep step, int thread, int threads, float* low)
    {
        var (first, end) = Part(step.RowsOf(_rows), thread, threads);
        for (int r = first; r < end; r++)
        {
            int slot = step.AdapterOf[_rows == RowAxis.OutputRows ? step.OutputRows[r] : r];
            if (slot == 0 || slot > _adapters.Length || _adapters[slot - 1] is not { } adapter) continue;
            float* x = _x + (long)r * _width, y = _y + (long)r * _outputs;
            for (int k = 0; k < adapter.Rank; k++) low[k] = Products.Dot(adapter.A.Pointer + (long)k * _width, x, _width);
            for (int o = 0; o < _outputs; o++) y[o] += adapter.Scale * Products.Dot(adapter.B.Pointer + (long)o * adapter.Rank, low, adapter.Rank);
        }
    }

    private sealed record Adapter(NativeBuffer<float> A, NativeBuffer<float> B, int Rank, float Scale); // A [rank, in], B [out, rank]
}
