using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>W without column <paramref name="Index"/>, or a table, or a bias, without one of its coordinates; filled up with zero columns.</summary>
/// <param name="Source">W [rows, width].</param>
/// <param name="Index">The column that goes.</param>
/// <param name="Padding">Zero columns at the end.</param>
public sealed record DropInputWeight(Weight Source, int Index, int Padding = 0) : Weight
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Source];

    /// <inheritdoc/>
    public override long Rows => Source.Rows;

    /// <inheritdoc/>
    public override int Width => Source.Width - 1 + Padding;

    /// <inheritdoc/>
    public override TensorType Type => ComputedWeight.ResultType(Source.Type);

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default) => Source.Prepare(cancel);

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        var whole = new float[count * Source.Width];
        Source.Read(firstRow, count, whole);
        Move<float>(whole, count, destination);
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        var whole = new double[count * Source.Width];
        Source.Read(firstRow, count, whole);
        Move<double>(whole, count, destination);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Source}[:,−{Index}]";

    private void Move<T>(ReadOnlySpan<T> whole, int count, Span<T> destination)
    {
        for (int r = 0; r < count; r++)
        {
            var from = whole.Slice(r * Source.Width, Source.Width);
            var to = destination.Slice(r * Width, Width);
            from[..Index].CopyTo(to);
            from[(Index + 1)..].CopyTo(to[Index..]);
            to[(Source.Width - 1)..].Clear();
        }
    }
}
