using Tare.Backends.Cpu.Numerics;
using Tare.Backends.Cpu.Weights;
using Tare.Backends.Cpu.Weights.Grouped;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>y = W x + b over [rows, in] → [rows, out]; threads split the outputs. In a second phase, split by rows, the low-rank terms of the rows' adapter slots.</summary>
internal sealed unsafe class LinearKernel : CpuKernel
{
    private readonly KernelContext _context;
    private readonly PackedMatrix _weight;
    private readonly float* _bias, _x, _y;
    private readonly Adapter?[] _adapters;
    private readonly RowAxis _rows;
    private readonly int _bits; // of integer activations; 0 = F32

    public LinearKernel(KernelContext context, Linear op, Node node, Value value)
    {
        _context = context;
        _x = context.Input(node, 0);
        _y = context.Pointer(value);
        _rows = context.TypeOf(value).Rows;
        _weight = context.Weights.Matrix(op.Weight, 1);
        _bias = op.Bias is null ? null : context.Weights.Values(op.Bias).Pointer;
        _adapters = [.. op.Adapters.Select(a => a is null ? null : new Adapter(context.Weights.Values(a.A), context.Weights.Values(a.B), (int)a.A.Rows, (float)a.Scale))];
        _bits = (context.Graph.OpOf(node.Inputs[0]) as QuantizeRows)?.Bits ?? 0;
        if (_bits > 0 && !(_bits == 8 ? _weight.TakesBytes : _weight.TakesIntegers)) throw new UnsupportedOpException($"Linear: {op.Weight} of type {op.Weight.Type} takes no activations of {_bits} bits (CPU)");
        int rows = context.MaxRows(_rows);
        context.ReserveScratch(Math.Max(TiledProduct.ScratchBytes(_weight, rows), IntegerProduct.ScratchBytes(_weight, rows)) + _adapters.Select(a => a?.Rank ?? 0).DefaultIfEmpty().Max() * sizeof(float));
    }

    public override int Phases => _adapters.Length == 0 ? 1 : 2;

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        int rows = step.RowsOf(_rows);
        byte* scratch = _context.Scratch(thread);
        if (phase == 1)
        {
            if (step.HasAdapters) Adapt(step, rows, thread, threads, (float*)scratch);
            return;
        }
        var (first, end) = Part(_weight.Tiles, thread, threads);
        if (_bits > 0)
        {
            var integers = new IntegerRows((byte*)_x, QuantizedRow.Stride(_weight.Width, _bits == 16), _weight.Width, _bits == 16);
            IntegerProduct.Run(_weight, first, end, integers, rows, _y, _bias, (float*)scratch);
            return;
        }
        float** x = (float**)scratch, y = x + rows;
        for (int r = 0; r < rows; r++)
        {
            x[r] = _x + (long)r * _weight.Width;
            y[r] = _y + (long)r * _weight.Rows;
        }
        TiledProduct.Run(_weight, 0, first, end, x, y, rows, _bias, (float*)(y + rows));
    }

    private void Adapt(CpuStep step, int rows, int thread, int threads, float* low)
    {
        var (first, end) = Part(rows, thread, threads);
        for (int r = first; r < end; r++)
        {
            int slot = step.AdapterOf[_rows == RowAxis.OutputRows ? step.OutputRows[r] : r];
            if (slot == 0 || slot > _adapters.Length || _adapters[slot - 1] is not { } adapter) continue;
            float* x = _x + (long)r * _weight.Width, y = _y + (long)r * _weight.Rows;
            for (int k = 0; k < adapter.Rank; k++) low[k] = Products.Dot(adapter.A.Pointer + (long)k * _weight.Width, x, _weight.Width);
            for (int o = 0; o < _weight.Rows; o++) y[o] += adapter.Scale * Products.Dot(adapter.B.Pointer + (long)o * adapter.Rank, low, adapter.Rank);
        }
    }

    private sealed record Adapter(NativeBuffer<float> A, NativeBuffer<float> B, int Rank, float Scale); // A [rank, in], B [out, rank]
}
