namespace Tare.Generation.Sampling;

/// <summary>
/// Mirostat 2.0 (Basu et al. 2021, arXiv 2007.14966, algorithm 2): tokens more surprising than μ are dropped; μ follows the surprise of what is drawn so that it stays near τ. Surprise is −log₂ p among what is left. The one
/// sampler with a memory: μ belongs to a request.
/// </summary>
internal sealed class Mirostat(double target, double rate)
{
    private double _most = 2 * target; // μ

    /// <summary>Draws a token and learns from it.</summary>
    public int Draw(Candidates candidates, SamplingDraws draws)
    {
        var weights = candidates.Weights(out double sum);
        int kept = 1;
        while (kept < weights.Length && -Math.Log2(weights[kept] / sum) <= _most) kept++;
        candidates.Keep(kept);
        int rank = candidates.DrawRank(draws.Uniform(SamplingDraws.Token));
        weights = candidates.Weights(out sum);
        _most -= rate * (-Math.Log2(weights[rank] / sum) - target);
        return candidates.Id(rank);
    }
}
