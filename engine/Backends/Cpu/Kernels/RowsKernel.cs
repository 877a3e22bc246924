using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Runs the row function of an op; threads split the rows.</summary>
internal sealed unsafe class RowsKernel : CpuKernel
{
    private readonly RowFunction _function;
    private readonly float*[] _x, _y; // [rows, width] each
    private readonly int[] _inputWidths, _outputWidths;
    private readonly RowAxis _rows;

    public RowsKernel(KernelContext context, RowFunction function, Node node, int index)
    {
        _function = function;
        Name = node.Op.Name;
        _rows = node.Outputs[0].Rows;
        _inputWidths = [.. node.Inputs.Select(v => context.TypeOf(v).Width)];
        _outputWidths = [.. node.Outputs.Select(t => t.Width)];
        (_x, _y) = (new float*[_inputWidths.Length], new float*[_outputWidths.Length]);
        for (int i = 0; i < _x.Length; i++) _x[i] = context.Input(node, i);
        for (int i = 0; i < _y.Length; i++) _y[i] = context.Pointer(new Value(index, i));
    }

    public override string Name { get; }

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (first, end) = Part(step.RowsOf(_rows), thread, threads);
        RowBlock* x = stackalloc RowBlock[_x.Length], y = stackalloc RowBlock[_y.Length];
        for (int i = 0; i < _x.Length; i++) x[i] = new RowBlock(_x[i] + (long)first * _inputWidths[i], _inputWidths[i]);
        for (int i = 0; i < _y.Length; i++) y[i] = new RowBlock(_y[i] + (long)first * _outputWidths[i], _outputWidths[i]);
        if (first < end) _function.Run(step, first, end - first, x, y);
    }
}
