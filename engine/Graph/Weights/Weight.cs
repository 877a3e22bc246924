using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>
/// A matrix [Rows, Width] as a lazy expression over stored tensors, compared structurally so that a tied weight is packed once. A vector is one row; stacked matrices lie one after
/// the other. First <see cref="Prepare"/>, then any rows in any order; reading is thread-safe.
/// </summary>
/// <remarks>Result types: moving rows keeps the type; arithmetic on F32 stays F32, F16 and BF16 become F32, block-quantized becomes F16.</remarks>
public abstract record Weight
{
    /// <summary>Number of rows (outputs of a Linear).</summary>
    public abstract long Rows { get; }

    /// <summary>Elements in a row (inputs of a Linear).</summary>
    public abstract int Width { get; }

    /// <summary>Type of the result.</summary>
    public abstract TensorType Type { get; }

    /// <summary>The weights that the expression is made of; empty for leaves.</summary>
    public virtual IEnumerable<Weight> Operands => [];

    /// <summary>The stored tensors that the expression reads, in the order in which it names them.</summary>
    public IEnumerable<MappedTensor> StoredTensors() => this is MappedWeight mapped ? [mapped.Tensor] : Operands.SelectMany(w => w.StoredTensors());

    /// <summary>Does the work that needs all rows at once (column means, …) and keeps small results. Idempotent; call before reading.</summary>
    public virtual void Prepare(CancellationToken cancel = default) { }

    /// <summary>Reads rows as F32: <paramref name="destination"/> [count, Width].</summary>
    public abstract void Read(long firstRow, int count, Span<float> destination);

    /// <summary>Reads rows as F64: <paramref name="destination"/> [count, Width]. Exact where the stored values are.</summary>
    public abstract void Read(long firstRow, int count, Span<double> destination);

    /// <summary>The stored bytes of one row in the layout of <see cref="Type"/>, where the expression only moves whole rows; false where values are computed.</summary>
    public virtual bool TryGetStoredRow(long row, out ReadOnlySpan<byte> bytes)
    {
        bytes = default;
        return false;
    }

    /// <summary>
    /// Copies the stored bytes of rows that <see cref="TryGetStoredRow"/> gives: <paramref name="destination"/> [count, bytes of a row]. For rows that are needed once, as in packing: a mapped file is read, which leaves its pages alone.
    /// </summary>
    public virtual void CopyStoredRows(long firstRow, int count, Span<byte> destination)
    {
        for (int r = 0; r < count; r++)
        {
            var target = destination.Slice(r * (destination.Length / count), destination.Length / count);
            if (!TryGetStoredRow(firstRow + r, out var bytes) || bytes.Length != target.Length) throw new InvalidOperationException($"{this}: a row of {bytes.Length} bytes instead of {target.Length}");
            bytes.CopyTo(target);
        }
    }

    /// <summary>Gives the resident memory behind stored tensors back, once they were packed; reading them again works.</summary>
    internal void ReleasePages()
    {
        foreach (var tensor in StoredTensors()) tensor.ReleasePages();
    }

    /// <summary>All elements as one vector, for small weights (gains, biases).</summary>
    public float[] ToVector()
    {
        Prepare();
        var all = new float[checked(Rows * Width)];
        Read(0, checked((int)Rows), all);
        return all;
    }

    /// <summary>The same in F64.</summary>
    public double[] ToWideVector()
    {
        Prepare();
        var all = new double[checked(Rows * Width)];
        Read(0, checked((int)Rows), all);
        return all;
    }

    private protected void CheckRange(long firstRow, int count, int destinationLength)
    {
        if (firstRow < 0 || count < 0 || firstRow > Rows - count) throw new ArgumentOutOfRangeException(nameof(firstRow), $"rows {firstRow}…{firstRow + count} of {Rows} in {this}");
        if (destinationLength < (long)count * Width) throw new ArgumentException($"{destinationLength} elements can't hold {count} rows of {Width} of {this}");
    }
}
