namespace Tare.Graphs.Weights;

/// <summary>A table whose rows went through a norm once: what an embedding norm (BLOOM) makes of its table. LayerNorm and RMSNorm over whole rows.</summary>
/// <param name="Source">[entries, width].</param>
/// <param name="Spec">The norm; one group.</param>
/// <param name="Gain">[width] or null.</param>
/// <param name="Bias">[width] or null.</param>
public sealed record NormalizedRowsWeight(Weight Source, NormSpec Spec, Weight? Gain, Weight? Bias) : ComputedWeight(Source)
{
    private readonly Prepared<(double[] Gain, double[] Bias)[]> _affine = new();

    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => new[] { Source, Gain, Bias }.OfType<Weight>();

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default)
    {
        if (Spec.Kind is not (NormKind.LayerNorm or NormKind.RmsNorm) || Spec.Groups != 1) throw new GraphException($"{Spec} can't become a table");
        Source.Prepare(cancel);
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        Source.Read(firstRow, count, destination);
        var (gain, bias) = _affine.Get(() => [(Gain is null ? new double[Width] : Gain.ToWideVector(), Bias is null ? new double[Width] : Bias.ToWideVector())])[0];
        for (int start = 0; start < count * Width; start += Width)
        {
            var row = destination.Slice(start, Width);
            double mean = 0, squares = 0;
            if (Spec.Kind == NormKind.LayerNorm)
                foreach (double v in row) mean += v / Width;
            foreach (double v in row) squares += (v - mean) * (v - mean);
            double scale = Spec.OutputScale / Math.Sqrt(squares / Width + Spec.Epsilon);
            for (int i = 0; i < row.Length; i++) row[i] = (row[i] - mean) * scale * (Gain is null ? 1 : Spec.GainOffset + gain[i]) + bias[i];
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Spec.Kind}({Source})";
}
