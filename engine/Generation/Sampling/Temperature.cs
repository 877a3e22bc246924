namespace Tare.Generation.Sampling;

/// <summary>Logits divided by the temperature.</summary>
internal sealed class Temperature(double temperature) : ISamplingStep
{
    public void Apply(Candidates candidates, ReadOnlySpan<int> past, SamplingDraws draws)
    {
        candidates.Rank();
        for (int i = 0; i < candidates.Count; i++) candidates.Logits[candidates.Id(i)] = (float)(candidates.Logit(i) / temperature);
    }
}
