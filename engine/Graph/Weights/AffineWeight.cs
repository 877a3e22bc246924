namespace Tare.Graphs.Weights;

/// <summary>Factor · (Offset + w), element by element: a stored gain as it acts (1 + w, or divided by √ε).</summary>
/// <param name="Source">w.</param>
/// <param name="Factor">The factor.</param>
/// <param name="Offset">Added first.</param>
public sealed record AffineWeight(Weight Source, double Factor, double Offset = 0) : ComputedWeight(Source)
{
    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default) => Source.Prepare(cancel);

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        Source.Read(firstRow, count, destination);
        for (int i = 0; i < count * Width; i++) destination[i] = Factor * (Offset + destination[i]);
    }

    /// <inheritdoc/>
    public override string ToString() => Offset.Equals(0.0) ? $"{Factor:G6}·{Source}" : $"{Factor:G6}·({Offset:G6} + {Source})";
}
