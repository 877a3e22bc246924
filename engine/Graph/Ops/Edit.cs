using System.Collections.Immutable;

namespace Tare.Graphs.Ops;

/// <summary>
/// y = x, changed as the edit table says for the slot of the row (<c>RowSlots.Edit</c>): zeroed, replaced, scaled, a vector added, a direction taken out. Rows of slot 0, and rows that the slot's entry leaves alone, keep
/// every bit.
/// </summary>
/// <param name="Site">Column of the edit table: which of a model's editable values this is.</param>
/// <param name="Label">Its name for people.</param>
public sealed record Edit(int Site, string Label) : Op
{
    /// <inheritdoc/>
    public override string Attributes => $"{Label} (table column {Site})";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        Expect(Site >= 0, $"site {Site} is negative");
        var x = Single(inputs);
        Expect(x.Rows != RowAxis.Sequences, "pooled rows have no slot");
        return [x];
    }
}
