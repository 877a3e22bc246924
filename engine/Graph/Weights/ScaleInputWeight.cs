namespace Tare.Graphs.Weights;

/// <summary>W · diag(factors): column c of W [rows, width] times factors[c] (a norm's gain folded into the weight that reads it).</summary>
/// <param name="Source">W.</param>
/// <param name="Factors">[width].</param>
public sealed record ScaleInputWeight(Weight Source, Weight Factors) : ComputedWeight(Source)
{
    private readonly Prepared<double[]> _factors = new(); // [width]

    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Source, Factors];

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default)
    {
        if (Factors.Rows != 1 || Factors.Width != Width) throw new GraphException($"ScaleInput: factors {Factors} [{Factors.Rows},{Factors.Width}] don't fit {Source} [{Rows},{Width}]");
        Source.Prepare(cancel);
        _factors.Get(Factors.ToWideVector);
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        Source.Read(firstRow, count, destination);
        double[] factors = _factors.Get(Factors.ToWideVector);
        for (int i = 0; i < count * Width; i++) destination[i] *= factors[i % Width];
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Source}·diag({Factors})";
}
