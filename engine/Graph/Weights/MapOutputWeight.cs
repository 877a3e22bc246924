namespace Tare.Graphs.Weights;

/// <summary>
/// (I − a uᵀ) W = W − a (uᵀ W): a writer of the residual stream in other coordinates; with <see cref="RankOneKind.Center"/> every column of W loses its mean, so that a Linear with this weight writes zero-mean
/// rows. Stacked matrices (experts, heads) are mapped one by one. <see cref="Prepare"/> streams W once and keeps uᵀ W.
/// </summary>
/// <param name="Source">W [Blocks · Map.Width, in].</param>
/// <param name="Map">The map.</param>
/// <param name="Blocks">Stacked matrices.</param>
public sealed record MapOutputWeight(Weight Source, RankOneMap Map, int Blocks = 1) : ComputedWeight(Source)
{
    private readonly Prepared<double[]> _products = new(); // [Blocks, Width]

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default)
    {
        if (Source.Rows != (long)Blocks * Map.Width) throw new GraphException($"{Map}: {Blocks} matrices of {Map.Width} rows are not the {Source.Rows} rows of {Source}");
        _products.Get(() => Products(cancel));
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        double[] products = _products.Get(() => Products(default));
        Source.Read(firstRow, count, destination);
        for (int r = 0; r < count; r++)
        {
            var row = destination.Slice(r * Width, Width);
            var block = products.AsSpan(checked((int)((firstRow + r) / Map.Width * Width)), Width);
            double a = Map.A((int)((firstRow + r) % Map.Width));
            for (int c = 0; c < row.Length; c++) row[c] -= a * block[c];
        }
    }

    /// <inheritdoc/>
    public override string ToString() => Blocks == 1 ? $"{Map}·{Source}" : $"{Blocks} × {Map}·{Source}";

    private double[] Products(CancellationToken cancel)
    {
        Source.Prepare(cancel);
        var products = new double[checked(Blocks * Width)];
        var row = new double[Width];
        for (long r = 0; r < Rows; r++)
        {
            cancel.ThrowIfCancellationRequested();
            Source.Read(r, 1, row);
            double u = Map.U((int)(r % Map.Width));
            var block = products.AsSpan(checked((int)(r / Map.Width * Width)), Width);
            for (int c = 0; c < row.Length; c++) block[c] += u * row[c];
        }
        return products;
    }
}
