using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>‖W_o W_v‖²_F / (Length · d) · (λ/κ)²: what attention adds to the mean square of the stream, as BHyT estimates it (arXiv 2601.09719). Keys and values of grouped heads are repeated.</summary>
/// <param name="Output">W_o [d, heads · width].</param>
/// <param name="Values">W_v [kv heads · width, d].</param>
/// <param name="Lambda">λ [1] of the norm before attention.</param>
/// <param name="Bound">κ.</param>
/// <param name="Length">Sequence length of training.</param>
/// <param name="HeadWidth">Elements of a head; 0 = every output has its own row of W_v.</param>
public sealed record ProductEnergyWeight(Weight Output, Weight Values, Weight Lambda, double Bound, int Length, int HeadWidth = 0) : Weight
{
    private readonly Prepared<double[]> _value = new(); // [1]

    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Output, Values, Lambda];

    /// <inheritdoc/>
    public override long Rows => 1;

    /// <inheritdoc/>
    public override int Width => 1;

    /// <inheritdoc/>
    public override TensorType Type => TensorType.F32;

    /// <inheritdoc/>
    public override void Prepare(CancellationToken cancel = default) => _value.Get(() => [Compute(cancel)]);

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        if (count > 0) destination[0] = (float)_value.Get(() => [Compute(default)])[0];
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        if (count > 0) destination[0] = _value.Get(() => [Compute(default)])[0];
    }

    /// <inheritdoc/>
    public override string ToString() => $"energy of {Output}·{Values}";

    // ‖A B‖²_F = Σ over pairs (k, l) of (AᵀA)_kl (BBᵀ)_kl: two Gram matrices of the inner width.
    private double Compute(CancellationToken cancel)
    {
        Output.Prepare(cancel);
        Values.Prepare(cancel);
        int d = checked((int)Output.Rows), inner = Output.Width, head = HeadWidth == 0 ? 1 : HeadWidth, repeat = checked((int)(inner / Values.Rows));
        if (repeat * Values.Rows != inner || (repeat > 1 && HeadWidth == 0)) throw new GraphException($"{this}: [{d},{inner}] · [{Values.Rows},{Values.Width}]");
        double[] output = Output.ToWideVector(), values = Values.ToWideVector();
        int Row(int k) => k / head / repeat * head + k % head;
        var parts = new double[inner]; // added in order: the same bits for any number of threads
        Parallel.For(0, inner, k =>
        {
            for (int l = 0; l < inner; l++)
            {
                double left = 0, right = 0;
                for (int r = 0; r < d; r++) left += output[r * inner + k] * output[r * inner + l];
                int a = Row(k) * Values.Width, b = Row(l) * Values.Width;
                for (int c = 0; c < Values.Width; c++) right += values[a + c] * values[b + c];
                parts[k] += left * right;
            }
        });
        return parts.Sum() / ((double)Length * d) * Math.Pow(Lambda.ToWideVector()[0] / Bound, 2);
    }
}
