namespace Tare.Graphs.Weights;

/// <summary>
/// γ / √(v + ε) + η: the gain of a norm with stored statistics (BatchNorm, RepBN with its η, Unified Normalization, PowerNorm).
/// </summary>
/// <param name="Gain">γ [width].</param>
/// <param name="Variance">v [width].</param>
/// <param name="Epsilon">ε.</param>
/// <param name="Shortcut">η [1] or null.</param>
public sealed record StatisticsGainWeight(Weight Gain, Weight Variance, double Epsilon, Weight? Shortcut = null) : ComputedWeight(Gain)
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => new[] { Gain, Variance, Shortcut }.OfType<Weight>();

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        if (count == 0) return;
        double[] gain = Gain.ToWideVector(), variance = Variance.ToWideVector();
        double shortcut = Shortcut?.ToWideVector()[0] ?? 0;
        for (int i = 0; i < gain.Length; i++) destination[i] = gain[i] / Math.Sqrt(variance[i] + Epsilon) + shortcut;
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Gain}/√{Variance}";
}

/// <summary>β − γ μ / √(v + ε): the bias of a norm with a stored mean.</summary>
/// <param name="Bias">β [width].</param>
/// <param name="Gain">γ [width].</param>
/// <param name="Mean">μ [width].</param>
/// <param name="Variance">v [width].</param>
/// <param name="Epsilon">ε.</param>
public sealed record StatisticsBiasWeight(Weight Bias, Weight Gain, Weight Mean, Weight Variance, double Epsilon) : ComputedWeight(Bias)
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Bias, Gain, Mean, Variance];

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        if (count == 0) return;
        double[] bias = Bias.ToWideVector(), gain = Gain.ToWideVector(), mean = Mean.ToWideVector(), variance = Variance.ToWideVector();
        for (int i = 0; i < bias.Length; i++) destination[i] = bias[i] - gain[i] * mean[i] / Math.Sqrt(variance[i] + Epsilon);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Bias} − {Gain}·{Mean}/√{Variance}";
}
