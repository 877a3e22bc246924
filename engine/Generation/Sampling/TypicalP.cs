namespace Tare.Generation.Sampling;

/// <summary>Locally typical sampling (Meister et al. 2022, arXiv 2202.00666): tokens whose surprise is nearest to the entropy, as many as together exceed p.</summary>
internal sealed class TypicalP(double p, int vocabulary) : ISamplingStep
{
    private readonly double[] _distances = new double[vocabulary]; // [Count], then ordered
    private readonly double[] _probabilities = new double[vocabulary];

    public void Apply(Candidates candidates, ReadOnlySpan<int> past, SamplingDraws draws)
    {
        var weights = candidates.Weights(out double sum);
        int count = candidates.Count;
        double entropy = 0;
        for (int i = 0; i < count; i++)
            if (weights[i] > 0) entropy -= weights[i] / sum * Math.Log(weights[i] / sum);
        for (int i = 0; i < count; i++) _distances[i] = weights[i] > 0 ? Math.Abs(-Math.Log(weights[i] / sum) - entropy) : double.MaxValue;
        // How many it takes needs the probabilities in the same order.
        var ordered = _probabilities.AsSpan(0, count);
        weights.CopyTo(ordered);
        _distances.AsSpan(0, count).Sort(ordered);
        double reached = 0;
        int kept = 0;
        while (kept < count && reached <= p * sum) reached += ordered[kept++];
        for (int i = 0; i < count; i++) _distances[i] = weights[i] > 0 ? Math.Abs(-Math.Log(weights[i] / sum) - entropy) : double.MaxValue;
        candidates.KeepLowest(_distances, kept);
    }
}
