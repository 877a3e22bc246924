using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>Cuts each of Groups equal parts of a row at the same places: output i holds, group after group, column range i. (Heads that hold two kinds of elements.)</summary>
/// <param name="Groups">Equal parts of the row.</param>
/// <param name="Widths">Widths of the pieces within a group.</param>
public sealed record SplitGroups(int Groups, ImmutableArray<int> Widths) : Op
{
    /// <inheritdoc/>
    public override string Attributes => $"{Groups} × {string.Join('+', Widths)}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        var x = Single(inputs);
        Expect(Groups > 0 && !Widths.IsDefaultOrEmpty && Widths.All(w => w > 0) && Widths.Sum(w => (long)w) * Groups == x.Width, $"{Attributes} is not {x.Width}");
        return [.. Widths.Select(w => x with { Width = w * Groups })];
    }

    /// <inheritdoc/>
    public bool Equals(SplitGroups? other) => other is not null && Groups == other.Groups && Widths.SequenceEqual(other.Widths);

    /// <inheritdoc/>
    public override int GetHashCode() => Widths.Aggregate(Groups, HashCode.Combine);
}
