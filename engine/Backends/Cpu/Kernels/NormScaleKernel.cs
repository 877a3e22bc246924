using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>√(mean (x − mean)² + ε) of each group of each row of [rows, width]; for RMSNorm without the mean.</summary>
internal sealed unsafe class NormScaleKernel(KernelContext context, NormSpec spec, Node node, Value value) : CpuKernel
{
    private readonly float* _x = context.Input(node, 0), _y = context.Pointer(value); // [rows, width], [rows, groups]
    private readonly int _groups = spec.Groups, _group = context.TypeOf(node.Inputs[0]).Width / spec.Groups;
    private readonly RowAxis _rows = context.TypeOf(value).Rows;

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (first, end) = Part(step.RowsOf(_rows) * _groups, thread, threads);
        for (int i = first; i < end; i++)
        {
            float* x = _x + (long)i * _group;
            double mean = 0, squares = 0;
            if (spec.Kind == NormKind.LayerNorm)
            {
                for (int k = 0; k < _group; k++) mean += x[k];
                mean /= _group;
            }
            for (int k = 0; k < _group; k++) squares += (x[k] - mean) * (x[k] - mean);
            _y[i] = (float)Math.Sqrt((spec.Kind == NormKind.Static ? 0 : squares / _group) + spec.Epsilon);
        }
    }
}
