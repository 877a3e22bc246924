namespace Tare.Graphs.Weights;

/// <summary>
/// W R for a rotation R of neighboring pairs of columns, row by row: (w_2i, w_2i+1) ← (w_2i cos θ_i + w_2i+1 sin θ_i, w_2i+1 cos θ_i − w_2i sin θ_i). With it W (R x) = (W R) x, where R turns (x_2i, x_2i+1)
/// by θ_i; rows of a table are turned back by θ, or on by −θ.
/// </summary>
/// <param name="Source">W [rows, width].</param>
/// <param name="Angles">θ [width / 2].</param>
/// <param name="Factor">1, or −1 for the reverse.</param>
public sealed record RotateInputWeight(Weight Source, Weight Angles, int Factor = 1) : ComputedWeight(Source)
{
    private readonly Prepared<double[]> _angles = new(); // [width / 2]

    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Source, Angles];

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default) => Source.Prepare(cancel);

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        Source.Read(firstRow, count, destination);
        double[] angles = _angles.Get(Angles.ToWideVector);
        for (int i = 0; i < count * Width; i += 2)
        {
            var (sin, cos) = Math.SinCos(Factor * angles[i % Width / 2]);
            (destination[i], destination[i + 1]) = (destination[i] * cos + destination[i + 1] * sin, destination[i + 1] * cos - destination[i] * sin);
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Source}·Rotate({(Factor < 0 ? "−" : "")}{Angles})";
}

/// <summary>Rᵀ W for the same rotation, pairs of rows; stacked matrices one by one: a writer of rows that are turned afterwards writes them turned back.</summary>
/// <param name="Source">W [Blocks · 2n, in].</param>
/// <param name="Angles">θ [n].</param>
/// <param name="Blocks">Stacked matrices.</param>
public sealed record RotateOutputWeight(Weight Source, Weight Angles, int Blocks = 1) : ComputedWeight(Source)
{
    private readonly Prepared<double[]> _angles = new(); // [n]

    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Source, Angles];

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default) => Source.Prepare(cancel);

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        double[] angles = _angles.Get(Angles.ToWideVector);
        var other = new double[Width];
        long perBlock = Rows / Blocks;
        for (int r = 0; r < count; r++)
        {
            long row = firstRow + r, within = row % perBlock;
            var target = destination.Slice(r * Width, Width);
            Source.Read(row, 1, target);
            Source.Read(row ^ 1, 1, other);
            var (sin, cos) = Math.SinCos(angles[within / 2]);
            if (within % 2 == 1) sin = -sin;
            for (int c = 0; c < target.Length; c++) target[c] = target[c] * cos + other[c] * sin;
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"Rotate({Angles})ᵀ·{Source}";
}
