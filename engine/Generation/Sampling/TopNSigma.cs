namespace Tare.Generation.Sampling;

/// <summary>Top-nσ (Tang et al. 2024, arXiv 2411.07641): only tokens whose logit lies within n standard deviations below the largest, the deviation being that of all finite candidate logits.</summary>
internal sealed class TopNSigma(double n) : ISamplingStep
{
    public void Apply(Candidates candidates, ReadOnlySpan<int> past, SamplingDraws draws)
    {
        candidates.Rank();
        double sum = 0, squares = 0, largest = candidates.Logit(0);
        int finite = 0;
        for (int i = 0; i < candidates.Count; i++)
            if (double.IsFinite(candidates.Logit(i))) (sum, finite) = (sum + candidates.Logit(i), finite + 1);
        for (int i = 0; i < candidates.Count; i++)
            if (double.IsFinite(candidates.Logit(i))) squares += Math.Pow(candidates.Logit(i) - sum / finite, 2);
        double least = largest - n * Math.Sqrt(finite == 0 ? 0 : squares / finite);
        int kept = 1;
        while (kept < candidates.Count && candidates.Logit(kept) >= least) kept++;
        candidates.Keep(kept);
    }
}
