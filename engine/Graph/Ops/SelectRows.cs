using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>Keeps the rows whose logits are wanted: [Rows, width] → [OutputRows, width].</summary>
public sealed record SelectRows : Op
{
    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        var x = Single(inputs);
        Expect(x.Rows == RowAxis.Rows, $"selects from Rows, has {x}");
        return [x with { Rows = RowAxis.OutputRows }];
    }
}
