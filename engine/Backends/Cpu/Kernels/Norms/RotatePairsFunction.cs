using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>Neighboring elements turned by fixed angles; cos and sin are made once, in double.</summary>
internal sealed unsafe class RotatePairsFunction(RotatePairs op, int width) : RowFunction
{
    private readonly (float Sin, float Cos)[] _turns = [.. op.Angles.ToWideVector().Select(a => ((float)Math.Sin(a), (float)Math.Cos(a)))]; // [width / 2]

    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++)
            for (int i = 0; i < width; i += 2)
            {
                var (sin, cos) = _turns[i / 2];
                float a = x[0][r][i], b = x[0][r][i + 1];
                (y[0][r][i], y[0][r][i + 1]) = (a * cos - b * sin, a * sin + b * cos);
            }
    }
}
