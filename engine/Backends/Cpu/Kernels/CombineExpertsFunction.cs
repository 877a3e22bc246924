using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>y[r] = Σ_j weights[r, j] x[r, j], in router-rank order: x [rows, used · width], weights [rows, used].</summary>
internal sealed unsafe class CombineExpertsFunction(int used, int width) : RowFunction
{
    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++)
            for (int i = 0; i < width; i += Lanes.Count)
            {
                var sum = Vector512<float>.Zero;
                for (int j = 0; j < used; j++)
                    sum = Vector512.FusedMultiplyAdd(Lanes.Load(x[0][r] + (long)j * width + i, width - i), Vector512.Create(x[1][r][j]), sum);
                Lanes.Store(sum, y[0][r] + i, width - i);
            }
    }
}
