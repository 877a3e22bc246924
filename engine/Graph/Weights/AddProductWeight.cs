using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>b + W v as one row [1, rows of W]: the bias of a Linear once the bias v of the norm before it is folded in. <see cref="Prepare"/> streams W once.</summary>
/// <param name="Bias">b: as many elements as W has rows, or null for zero.</param>
/// <param name="Matrix">W [out, in].</param>
/// <param name="Vector">v [1, in].</param>
public sealed record AddProductWeight(Weight? Bias, Weight Matrix, Weight Vector) : Weight
{
    private readonly Prepared<double[]> _sum = new(); // [out]

    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => new[] { Bias, Matrix, Vector }.OfType<Weight>();

    /// <inheritdoc/>
    public override long Rows => 1;

    /// <inheritdoc/>
    public override int Width => checked((int)Matrix.Rows);

    /// <inheritdoc/>
    public override TensorType Type => TensorType.F32;

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default) => _sum.Get(() => Sum(cancel));

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        if (count == 0) return;
        double[] sum = _sum.Get(() => Sum(default));
        for (int i = 0; i < sum.Length; i++) destination[i] = (float)sum[i];
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        if (count > 0) _sum.Get(() => Sum(default)).CopyTo(destination);
    }

    /// <inheritdoc/>
    public override string ToString() => Bias is null ? $"{Matrix}·{Vector}" : $"{Bias} + {Matrix}·{Vector}";

    private double[] Sum(CancellationToken cancel)
    {
        Matrix.Prepare(cancel);
        double[] vector = Vector.ToWideVector(), sum = Bias?.ToWideVector() ?? new double[Width];
        if (vector.Length != Matrix.Width || sum.Length != Width) throw new GraphException($"{this}: [{sum.Length}] + [{Matrix.Rows},{Matrix.Width}] · [{vector.Length}]");
        var row = new double[Matrix.Width];
        for (int r = 0; r < sum.Length; r++)
        {
            cancel.ThrowIfCancellationRequested();
            Matrix.Read(r, 1, row);
            for (int c = 0; c < row.Length; c++) sum[r] += row[c] * vector[c];
        }
        return sum;
    }
}
