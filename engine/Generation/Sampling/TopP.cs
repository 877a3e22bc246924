namespace Tare.Generation.Sampling;

/// <summary>Only the most probable tokens that together reach p (Holtzman et al. 2020, arXiv 1904.09751).</summary>
internal sealed class TopP(double p) : ISamplingStep
{
    public void Apply(Candidates candidates, ReadOnlySpan<int> past, SamplingDraws draws)
    {
        var weights = candidates.Weights(out double sum);
        double reached = 0;
        int kept = 0;
        while (kept < weights.Length && reached < p * sum) reached += weights[kept++];
        candidates.Keep(kept);
    }
}
