using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>Residual addition and the norm of its sum: a, b → sum, norm of sum. The statistics are taken while the sum is in registers, so a row is read once less than by one function after the other; same bits.</summary>
internal sealed unsafe class AddNormFunction(NormFunction norm) : RowFunction
{
    /// <summary>The function of an addition, which made value <paramref name="sum"/>, and of the function behind it, which reads <paramref name="inputs"/>; null if they can't be joined.</summary>
    public static AddNormFunction? Of(Op? before, int sum, RowFunction function, ImmutableArray<int> inputs) => before is Add && function is NormFunction norm && inputs[0] == sum ? new AddNormFunction(norm) : null;

    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch) => norm.AddAndNormalize(count, x[0], x[1], y[0], y[1]);
}
