namespace Tare.Graphs.Weights;

/// <summary>
/// (I − 11ᵀ/d) W: every column of W [d, in] loses its mean, so that a Linear with this weight writes zero-mean rows. <see cref="Prepare"/> streams W once and keeps the column means.
/// A bias or a table of rows to be centered is <c>Transpose</c>d first: there the mean runs along the row.
/// </summary>
public sealed record CenterOutputWeight(Weight Source) : ComputedWeight(Source)
{
    private readonly Lock _lock = new();
    private double[]? _means; // [Width]

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default)
    {
        lock (_lock)
        {
            if (_means is not null) return;
            Source.Prepare(cancel);
            var sums = new double[Width];
            var row = new double[Width];
            for (long r = 0; r < Rows; r++)
            {
                cancel.ThrowIfCancellationRequested();
                Source.Read(r, 1, row);
                for (int c = 0; c < sums.Length; c++) sums[c] += row[c];
            }
            for (int c = 0; c < sums.Length; c++) sums[c] /= Rows;
            _means = sums;
        }
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        Prepare();
        Source.Read(firstRow, count, destination);
        for (int i = 0; i < count * Width; i++) destination[i] -= _means![i % Width];
    }

    /// <inheritdoc/>
    public bool Equals(CenterOutputWeight? other) => other is not null && Source == other.Source;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Source, "center");

    /// <inheritdoc/>
    public override string ToString() => $"Center({Source})";
}
