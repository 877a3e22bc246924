using System.Collections.Immutable;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Cuts each group of a row at the same places: output k holds, group after group, column range k.</summary>
internal sealed unsafe class SplitGroupsFunction(int groups, ImmutableArray<int> widths) : RowFunction
{
    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++)
            for (int g = 0, start = 0; g < groups; g++)
                for (int k = 0; k < widths.Length; start += widths[k++])
                    new ReadOnlySpan<float>(x[0][r] + start, widths[k]).CopyTo(new Span<float>(y[k][r] + (long)g * widths[k], widths[k]));
    }
}

/// <summary>The reverse: group g of the output is group g of each input, one after the other.</summary>
/// <param name="groups">Number of groups.</param>
/// <param name="widths">Width of a group of each input.</param>
internal sealed unsafe class JoinGroupsFunction(int groups, ImmutableArray<int> widths) : RowFunction
{
    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++)
            for (int g = 0, start = 0; g < groups; g++)
                for (int k = 0; k < widths.Length; start += widths[k++])
                    new ReadOnlySpan<float>(x[k][r] + (long)g * widths[k], widths[k]).CopyTo(new Span<float>(y[0][r] + start, widths[k]));
    }
}

/// <summary>Keeps the rows whose logits are wanted.</summary>
internal sealed unsafe class SelectRowsFunction(int width) : RowFunction
{
    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++) new ReadOnlySpan<float>(x[0][step.OutputRows[row + r]], width).CopyTo(new Span<float>(y[0][r], width));
    }
}
