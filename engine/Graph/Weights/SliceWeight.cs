using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>The rows FirstRow … FirstRow + Rows − 1 of another weight.</summary>
public sealed record SliceWeight(Weight Source, long FirstRow, long Count) : Weight
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
        Source.Read(FirstRow + firstRow, count, destination);
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        Source.Read(FirstRow + firstRow, count, destination);
    }

    /// <inheritdoc/>
    public override bool TryGetStoredRow(long row, out ReadOnlySpan<byte> bytes) => Source.TryGetStoredRow(FirstRow + row, out bytes);

    /// <inheritdoc/>
    public override string ToString() => $"{Source}[{FirstRow}..{FirstRow + Count}]";
}
