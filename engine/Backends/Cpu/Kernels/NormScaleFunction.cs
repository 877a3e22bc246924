using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>√(mean (x − mean)² + ε) of each group of each row: [rows, width] → [rows, groups]; for RMSNorm without the mean.</summary>
internal sealed unsafe class NormScaleFunction(NormSpec spec, int width) : RowFunction
{
    private readonly int _group = width / spec.Groups;

    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++)
            for (int g = 0; g < spec.Groups; g++) y[0][r][g] = ScaleOf(x[0][r] + g * _group);
    }

    private float ScaleOf(float* x)
    {
        double mean = 0, squares = 0;
        if (spec.Kind == NormKind.LayerNorm)
        {
            for (int k = 0; k < _group; k++) mean += x[k];
            mean /= _group;
        }
        for (int k = 0; k < _group; k++) squares += (x[k] - mean) * (x[k] - mean);
        return (float)Math.Sqrt((spec.Kind == NormKind.Static ? 0 : squares / _group) + spec.Epsilon);
    }
}
