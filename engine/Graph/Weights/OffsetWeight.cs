namespace Tare.Graphs.Weights;

/// <summary>W + offset, element by element (a gain that is stored as its distance from 1).</summary>
internal sealed record OffsetWeight(Weight Source, double Offset) : ComputedWeight(Source)
{
    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default) => Source.Prepare(cancel);

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        Source.Read(firstRow, count, destination);
        foreach (ref double value in destination[..(count * Width)]) value += Offset;
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Source}+{Offset}";
}
