namespace Tare.Generation.Sampling;

/// <summary>Only tokens of at least a share of the best one's probability (Nguyen et al. 2024, arXiv 2407.01082).</summary>
internal sealed class MinP(double share) : ISamplingStep
{
    private readonly double _distance = Math.Log(share);

    public void Apply(Candidates candidates, ReadOnlySpan<int> past, SamplingDraws draws)
    {
        candidates.Rank();
        double least = candidates.Logit(0) + _distance;
        int kept = 1;
        while (kept < candidates.Count && candidates.Logit(kept) >= least) kept++;
        candidates.Keep(kept);
    }
}
