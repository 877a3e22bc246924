namespace Tare.Generation.Sampling;

/// <summary>XTC ("exclude top choices", p-e-w 2024): with some probability, of all tokens that reach the threshold only the least probable stays.</summary>
internal sealed class Xtc(double probability, double threshold) : ISamplingStep
{
    public void Apply(Candidates candidates, ReadOnlySpan<int> past, SamplingDraws draws)
    {
        if (draws.Uniform(SamplingDraws.Exclusion) >= probability) return;
        var weights = candidates.Weights(out double sum);
        int reaching = 0;
        while (reaching < weights.Length && weights[reaching] >= threshold * sum) reaching++;
        if (reaching > 1) candidates.DropBest(reaching - 1);
    }
}
