namespace Tare.Generation.Sampling;

/// <summary>Weakens tokens that occurred: positive logits are divided by the repeat penalty and negative ones multiplied (Keskar et al. 2019, arXiv 1909.05858); then frequency and presence are subtracted.</summary>
internal sealed class Penalties(SamplingOptions options) : ISamplingStep
{
    public void Apply(Candidates candidates, ReadOnlySpan<int> past, SamplingDraws draws)
    {
        var recent = options.PenaltyTokens < 0 || options.PenaltyTokens > past.Length ? past : past[^options.PenaltyTokens..];
        var logits = candidates.Logits;
        for (int i = 0; i < recent.Length; i++)
        {
            int id = recent[i];
            if ((uint)id >= (uint)logits.Length || recent[..i].Contains(id)) continue;
            int times = 1 + recent[(i + 1)..].Count(id);
            float logit = logits[id];
            logit = (float)(logit > 0 ? logit / options.RepeatPenalty : logit * options.RepeatPenalty);
            logits[id] = (float)(logit - times * options.FrequencyPenalty - options.PresencePenalty);
        }
        candidates.Changed();
    }
}
