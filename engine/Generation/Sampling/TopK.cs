namespace Tare.Generation.Sampling;

/// <summary>Only the k most probable tokens (Fan et al. 2018, arXiv 1805.04833).</summary>
internal sealed class TopK(int k) : ISamplingStep
{
    public void Apply(Candidates candidates, ReadOnlySpan<int> past, SamplingDraws draws) => candidates.Rank(k);
}
