using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>The same elements in row-major order under another shape (per-head gains as one vector, a vector as rows).</summary>
/// <remarks>Block-quantized types keep their type only where the row width stays; else they become F32, which is exact.</remarks>
public sealed record ReshapeWeight : Weight
{
    /// <summary>Reshapes to [rows, width].</summary>
    public ReshapeWeight(Weight source, long rows, int width)
    {
        if (rows < 0 || width <= 0 || rows * width != source.Rows * source.Width) throw new GraphException($"Reshape: {source} [{source.Rows},{source.Width}] is not [{rows},{width}]");
        (Source, Rows, Width) = (source, rows, width);
    }

    /// <summary>What is reshaped.</summary>
    public Weight Source { get; }

    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Source];

    /// <inheritdoc/>
    public override long Rows { get; }

    /// <inheritdoc/>
    public override int Width { get; }

    /// <inheritdoc/>
    public override TensorType Type => Width == Source.Width || Source.Type is TensorType.F64 or TensorType.F32 or TensorType.F16 or TensorType.BF16 ? Source.Type : TensorType.F32;

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default) => Source.Prepare(cancel);

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        var (start, rows, skip) = Covering(firstRow, count);
        var whole = new float[rows * Source.Width];
        Source.Read(start, rows, whole);
        whole.AsSpan(skip, count * Width).CopyTo(destination);
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        var (start, rows, skip) = Covering(firstRow, count);
        var whole = new double[rows * Source.Width];
        Source.Read(start, rows, whole);
        whole.AsSpan(skip, count * Width).CopyTo(destination);
    }

    /// <inheritdoc/>
    public override bool TryGetStoredRow(long row, out ReadOnlySpan<byte> bytes)
    {
        if (Width == Source.Width) return Source.TryGetStoredRow(row, out bytes);
        bytes = default;
        return false;
    }

    /// <inheritdoc/>
    public override void CopyStoredRows(long firstRow, int count, Span<byte> destination)
    {
        if (Width != Source.Width) throw new InvalidOperationException($"{this}: rows of another width are not stored");
        Source.CopyStoredRows(firstRow, count, destination);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Source}→[{Rows},{Width}]";

    // The source rows that hold the wanted elements, and how many elements to skip in the first.
    private (long Start, int Rows, int Skip) Covering(long firstRow, int count)
    {
        if (count == 0) return (0, 0, 0);
        long first = firstRow * Width, last = first + (long)count * Width - 1;
        long start = first / Source.Width;
        return (start, checked((int)(last / Source.Width - start + 1)), checked((int)(first - start * Source.Width)));
    }
}
