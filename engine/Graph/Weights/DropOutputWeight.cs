using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>Stacked matrices without row <paramref name="Index"/> of each; filled up with zero rows.</summary>
/// <param name="Source">W [Blocks · rows, width].</param>
/// <param name="Index">The row that goes.</param>
/// <param name="Blocks">Stacked matrices.</param>
/// <param name="Padding">Zero rows at the end of each matrix.</param>
public sealed record DropOutputWeight(Weight Source, int Index, int Blocks = 1, int Padding = 0) : Weight
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Source];

    /// <inheritdoc/>
    public override long Rows => Blocks * (Source.Rows / Blocks - 1 + Padding);

    /// <inheritdoc/>
    public override int Width => Source.Width;

    /// <inheritdoc/>
    public override TensorType Type => ComputedWeight.ResultType(Source.Type);

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default) => Source.Prepare(cancel);

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        for (int r = 0; r < count; r++)
            if (SourceRow(firstRow + r) is long row) Source.Read(row, 1, destination.Slice(r * Width, Width));
            else destination.Slice(r * Width, Width).Clear();
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        for (int r = 0; r < count; r++)
            if (SourceRow(firstRow + r) is long row) Source.Read(row, 1, destination.Slice(r * Width, Width));
            else destination.Slice(r * Width, Width).Clear();
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Source}[−{Index}]";

    private long? SourceRow(long row)
    {
        long before = Source.Rows / Blocks, after = before - 1 + Padding, within = row % after;
        if (within >= before - 1) return null;
        return row / after * before + within + (within >= Index ? 1 : 0);
    }
}
