namespace Tare.Graphs.Weights;

/// <summary>
/// W (I − a uᵀ) = W − (W a) uᵀ, row by row: a reader of the residual stream in other coordinates. The same arithmetic maps rows of a table, and a bias, by the transposed map; a row may hold several
/// groups, each mapped by itself.
/// </summary>
/// <param name="Source">W [rows, Groups · Map.Width].</param>
/// <param name="Map">The map.</param>
/// <param name="Groups">Equal parts of a row.</param>
public sealed record MapInputWeight(Weight Source, RankOneMap Map, int Groups = 1) : ComputedWeight(Source)
{
    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default)
    {
        if (Source.Width != (long)Groups * Map.Width) throw new GraphException($"{Map}: {Groups} groups of {Map.Width} are not the {Source.Width} columns of {Source}");
        Source.Prepare(cancel);
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        Source.Read(firstRow, count, destination);
        for (int start = 0; start < count * Width; start += Map.Width)
        {
            var row = destination.Slice(start, Map.Width);
            double product = 0;
            for (int i = 0; i < row.Length; i++) product += row[i] * Map.A(i);
            for (int i = 0; i < row.Length; i++) row[i] -= product * Map.U(i);
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Source}·{Map}";
}
