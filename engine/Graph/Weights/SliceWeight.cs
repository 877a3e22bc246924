using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>Rows of another weight: FirstRow, FirstRow + Step, … – Count of them.</summary>
public sealed record SliceWeight(Weight Source, long FirstRow, long Count, int Step = 1) : Weight
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Source];

    /// <inheritdoc/>
    public override long Rows => Count;

    /// <inheritdoc/>
    public override int Width => Source.Width;

    /// <inheritdoc/>
    public override TensorType Type => Source.Type;

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default) => Source.Prepare(cancel);

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        if (Step == 1) Source.Read(FirstRow + firstRow, count, destination);
        else for (int r = 0; r < count; r++) Source.Read(FirstRow + (firstRow + r) * Step, 1, destination.Slice(r * Width, Width));
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        if (Step == 1) Source.Read(FirstRow + firstRow, count, destination);
        else for (int r = 0; r < count; r++) Source.Read(FirstRow + (firstRow + r) * Step, 1, destination.Slice(r * Width, Width));
    }

    /// <inheritdoc/>
    public override bool TryGetStoredRow(long row, out ReadOnlySpan<byte> bytes) => Source.TryGetStoredRow(FirstRow + row * Step, out bytes);

    /// <inheritdoc/>
    public override void CopyStoredRows(long firstRow, int count, Span<byte> destination)
    {
        if (Step == 1) Source.CopyStoredRows(FirstRow + firstRow, count, destination);
        else for (int r = 0, bytes = destination.Length / count; r < count; r++) Source.CopyStoredRows(FirstRow + (firstRow + r) * Step, 1, destination.Slice(r * bytes, bytes));
    }

    /// <inheritdoc/>
    public override string ToString() => Step == 1 ? $"{Source}[{FirstRow}..{FirstRow + Count}]" : $"{Source}[{FirstRow}, {FirstRow + Step}, …]";
}
