using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>One stored number as a vector of <paramref name="Columns"/> elements: a gain that is a scalar.</summary>
/// <param name="Source">[1].</param>
/// <param name="Columns">Width of the vector.</param>
public sealed record BroadcastWeight(Weight Source, int Columns) : Weight
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Source];

    /// <inheritdoc/>
    public override long Rows => 1;

    /// <inheritdoc/>
    public override int Width => Columns;

    /// <inheritdoc/>
    public override TensorType Type => TensorType.F32;

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default)
    {
        if (Source.Rows != 1 || Source.Width != 1) throw new GraphException($"Broadcast: {Source} [{Source.Rows},{Source.Width}] is not one number");
        Source.Prepare(cancel);
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        if (count > 0) destination[..Width].Fill(Source.ToVector()[0]);
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        if (count > 0) destination[..Width].Fill(Source.ToWideVector()[0]);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Source}…";
}
