using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>The reverse of <see cref="SplitGroups"/>: group g of the output is group g of each input, one after the other.</summary>
/// <param name="Groups">Groups of the output.</param>
public sealed record JoinGroups(int Groups) : Op
{
    /// <inheritdoc/>
    public override string Attributes => $"groups {Groups}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        Expect(inputs.Length > 0 && Groups > 0, "needs inputs and groups");
        long width = 0;
        foreach (var input in inputs)
        {
            ExpectF32(input, "input");
            Expect(input.Rows == inputs[0].Rows && input.Width % Groups == 0, $"{input} has no {Groups} groups");
            width += input.Width;
        }
        Expect(width <= int.MaxValue, "output is too wide");
        return [inputs[0] with { Width = (int)width }];
    }
}
