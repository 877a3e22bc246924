using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>The rows of a matrix in another order: row i is row order[i] of the source. A one-row source (a bias) has its elements reordered.</summary>
internal sealed record ReorderedWeight : Weight
{
    private readonly int[] _order; // [Rows], or [Width] for a vector
    private readonly bool _isVector;

    public ReorderedWeight(Weight source, int[] order)
    {
        _isVector = source.Rows == 1 && order.Length == source.Width && order.Length > 1;
        if (!_isVector && order.Length != source.Rows) throw new GraphException($"Reorder: {order.Length} places for {source} [{source.Rows},{source.Width}]");
        (Source, _order) = (source, order);
    }

    /// <summary>What is reordered.</summary>
    public Weight Source { get; }

    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Source];

    /// <inheritdoc/>
    public override long Rows => Source.Rows;

    /// <inheritdoc/>
    public override int Width => Source.Width;

    /// <inheritdoc/>
    public override TensorType Type => _isVector && Source.Type is not (TensorType.F64 or TensorType.F16 or TensorType.BF16) ? TensorType.F32 : Source.Type;

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default) => Source.Prepare(cancel);

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        if (_isVector) Gather(Whole<float>(), destination);
        else for (int r = 0; r < count; r++) Source.Read(_order[firstRow + r], 1, destination.Slice(r * Width, Width));
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        if (_isVector) Gather(Whole<double>(), destination);
        else for (int r = 0; r < count; r++) Source.Read(_order[firstRow + r], 1, destination.Slice(r * Width, Width));
    }

    /// <inheritdoc/>
    public override bool TryGetStoredRow(long row, out ReadOnlySpan<byte> bytes)
    {
        if (!_isVector) return Source.TryGetStoredRow(_order[row], out bytes);
        bytes = default;
        return false;
    }

    /// <inheritdoc/>
    public override void CopyStoredRows(long firstRow, int count, Span<byte> destination)
    {
        if (_isVector) throw new InvalidOperationException($"{this}: elements are reordered, not rows");
        for (int r = 0, bytes = destination.Length / count; r < count; r++) Source.CopyStoredRows(_order[firstRow + r], 1, destination.Slice(r * bytes, bytes));
    }

    /// <inheritdoc/>
    public bool Equals(ReorderedWeight? other) => other is not null && Source == other.Source && _order.AsSpan().SequenceEqual(other._order);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Source, "reorder", _order.Length);

    /// <inheritdoc/>
    public override string ToString() => $"Reorder({Source})";

    private T[] Whole<T>()
    {
        var all = new T[Width];
        if (all is float[] narrow) Source.Read(0, 1, narrow);
        else Source.Read(0, 1, (double[])(object)all);
        return all;
    }

    private void Gather<T>(T[] from, Span<T> to)
    {
        for (int i = 0; i < from.Length; i++) to[i] = from[_order[i]];
    }
}
