using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>A stored tensor as it is: [product of all but the last dimension, last dimension]. Equal when it is the same tensor of the same open file.</summary>
public sealed record MappedWeight(MappedTensor Tensor) : Weight
{
    /// <inheritdoc/>
    public override long Rows => Tensor.RowCount;

    /// <inheritdoc/>
    public override int Width => Tensor.Width;

    /// <inheritdoc/>
    public override TensorType Type => Tensor.Type;

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        Tensor.ReadRows(firstRow, count, destination[..(count * Width)]);
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        Tensor.ReadRows(firstRow, count, destination[..(count * Width)]);
    }

    /// <inheritdoc/>
    public override bool TryGetStoredRow(long row, out ReadOnlySpan<byte> bytes)
    {
        bytes = Tensor.RawRows(row, 1);
        return true;
    }

    /// <inheritdoc/>
    public override void CopyStoredRows(long firstRow, int count, Span<byte> destination) => Tensor.CopyRawRows(firstRow, count, destination);

    /// <inheritdoc/>
    public bool Equals(MappedWeight? other) => other is not null && ReferenceEquals(Tensor, other.Tensor);

    /// <inheritdoc/>
    public override int GetHashCode() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(Tensor);

    /// <inheritdoc/>
    public override string ToString() => Tensor.Name;
}
