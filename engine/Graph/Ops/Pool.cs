using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>How the rows of a sequence become one.</summary>
public enum PoolKind
{
    /// <summary>Their mean.</summary>
    Mean,

    /// <summary>The first row.</summary>
    First,

    /// <summary>The last row.</summary>
    Last,
}

/// <summary>[Rows, width] → [Sequences, width]; each sequence must be whole in the step.</summary>
/// <param name="Kind">Mean, first or last row.</param>
public sealed record Pool(PoolKind Kind) : Op
{
    /// <inheritdoc/>
    public override string Attributes => $"{Kind}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        var x = Single(inputs);
        Expect(x.Rows == RowAxis.Rows, $"pools Rows, has {x}");
        return [x with { Rows = RowAxis.Sequences }];
    }
}
