using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>Cuts rows into column ranges: one output a width.</summary>
/// <param name="Widths">They add up to the input's width.</param>
public sealed record Split(ImmutableArray<int> Widths) : Op
{
    /// <inheritdoc/>
    public override string Attributes => string.Join('+', Widths);

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        var x = Single(inputs);
        Expect(!Widths.IsDefaultOrEmpty && Widths.All(w => w > 0) && Widths.Sum(w => (long)w) == x.Width, $"parts {Attributes} are not {x.Width}");
        return [.. Widths.Select(w => x with { Width = w })];
    }

    /// <inheritdoc/>
    public bool Equals(Split? other) => other is not null && Widths.SequenceEqual(other.Widths);

    /// <inheritdoc/>
    public override int GetHashCode() => Widths.Aggregate(17, HashCode.Combine);
}
