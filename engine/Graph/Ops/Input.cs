using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>What a step feeds into a graph.</summary>
public enum InputKind
{
    /// <summary>Token ids, I32 [Rows, 1].</summary>
    Tokens,

    /// <summary>Absolute positions, I32 [Rows, 1].</summary>
    Positions,

    /// <summary>A residual stream computed elsewhere, F32 [Rows, Width].</summary>
    Residual,
}

/// <summary>A value that the step brings.</summary>
/// <param name="Kind">Which one.</param>
/// <param name="Width">1, or the width of the residual stream.</param>
public sealed record Input(InputKind Kind, int Width = 1) : Op
{
    /// <inheritdoc/>
    public override string Attributes => $"{Kind}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        ExpectCount(inputs, 0);
        Expect(Width > 0 && (Kind == InputKind.Residual || Width == 1), $"{Kind} can't be {Width} wide");
        return [Kind == InputKind.Residual ? ValueInfo.F32(RowAxis.Rows, Width) : ValueInfo.I32(RowAxis.Rows, 1)];
    }
}
