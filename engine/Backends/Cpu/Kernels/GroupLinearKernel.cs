using Tare.Backends.Cpu.Weights;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>One small matrix a group of the row: y[g] = W[g] x[g], x [rows, groups · in], y [rows, groups · out]; threads split the tiles of all groups.</summary>
internal sealed unsafe class GroupLinearKernel : CpuKernel
{
    private readonly KernelContext _context;
    private readonly PackedMatrix _weight;
    private readonly float* _x, _y;
    private readonly RowAxis _rows;

    public GroupLinearKernel(KernelContext context, GroupLinear op, Node node, Value value)
    {
        _context = context;
        _x = context.Input(node, 0);
        _y = context.Pointer(value);
        _rows = context.TypeOf(value).Rows;
        _weight = context.Weights.Matrix(op.Weight, op.Groups);
        context.ReserveScratch(TiledProduct.ScratchBytes(_weight, context.MaxRows(_rows)));
    }

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        int rows = step.RowsOf(_rows), groups = _weight.Matrices;
        float** x = (float**)_context.Scratch(thread), y = x + rows;
        var (first, end) = Part(groups * _weight.Tiles, thread, threads);
        for (int g = first / _weight.Tiles; g < groups && g * _weight.Tiles < end; g++)
        {
            for (int r = 0; r < rows; r++)
            {
                x[r] = _x + ((long)r * groups + g) * _weight.Width;
                y[r] = _y + ((long)r * groups + g) * _weight.Rows;
            }
            TiledProduct.Run(_weight, g, Math.Max(0, first - g * _weight.Tiles), Math.Min(_weight.Tiles, end - g * _weight.Tiles), x, y, rows, null, (float*)(y + rows));
        }
    }
}
