using Tare.Backends.Cpu.Weights;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>y[r, j] = W[ids[r, j]] x (+ b): per expert, the rows that chose it are one product. Threads split the tiles of each expert.</summary>
internal sealed unsafe class ExpertLinearKernel : CpuKernel
{
    private readonly KernelContext _context;
    private readonly PackedMatrix _weight;
    private readonly float* _x, _y, _bias; // x [rows, in] or [rows, used · in]; y [rows, used · out]; bias [experts, out] or null
    private readonly int* _ids;            // [rows, used]
    private readonly int _used;
    private readonly bool _shared;
    private readonly RowAxis _rows;

    public ExpertLinearKernel(KernelContext context, ExpertLinear op, Node node, Value value)
    {
        _context = context;
        _x = context.Input(node, 0);
        _y = context.Pointer(value);
        _rows = context.TypeOf(value).Rows;
        _ids = (int*)context.Input(node, 1);
        _used = context.TypeOf(node.Inputs[1]).Width;
        _weight = context.Weights.Matrix(op.Weight, op.Experts);
        _shared = context.TypeOf(node.Inputs[0]).Width == _weight.Width;
        _bias = op.Bias is null ? null : context.Weights.Values(op.Bias).Pointer;
        context.ReserveScratch(TiledProduct.ScratchBytes(_weight, context.MaxRows(_rows) * _used));
    }

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        int pairs = step.RowsOf(_rows) * _used;
        float** x = (float**)_context.Scratch(thread), y = x + pairs;
        for (int expert = 0; expert < _weight.Matrices; expert++)
        {
            int count = 0;
            for (int i = 0; i < pairs; i++)
                if (_ids[i] == expert)
                {
                    x[count] = _x + (long)(_shared ? i / _used : i) * _weight.Width;
                    y[count++] = _y + (long)i * _weight.Rows;
                }
            if (count == 0) continue;
            var (first, end) = Part(_weight.Tiles, thread, threads);
            TiledProduct.Run(_weight, expert, first, end, x, y, count, _bias is null ? null : _bias + (long)expert * _weight.Rows, (float*)(y + pairs));
        }
    }
}
