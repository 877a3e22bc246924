using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>Looks rows of a table up: y[r] = Table[index[r] + Offset]. Without an input every row gets Table[Offset] (a token type that is always the same).</summary>
/// <param name="Table">[entries, width]; read in place from the mapped file.</param>
/// <param name="Offset">Added to each index (learned positions that start at 2).</param>
/// <param name="Constant">True when the op has no input.</param>
public sealed record Embed(Weight Table, int Offset = 0, bool Constant = false) : Op
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Weights => [Table];

    /// <inheritdoc/>
    public override string Attributes => Offset == 0 ? "" : $"offset {Offset}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        Expect(Offset >= 0 && Offset < Table.Rows, $"offset {Offset} is outside of the table's {Table.Rows} rows");
        if (Constant)
            ExpectCount(inputs, 0);
        else
            Expect(Single(inputs, ElementType.I32) == ValueInfo.I32(RowAxis.Rows, 1), $"takes I32[Rows,1], has {inputs[0]}");
        return [ValueInfo.F32(RowAxis.Rows, Table.Width)];
    }
}
