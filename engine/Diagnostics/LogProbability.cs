namespace Tare.Diagnostics;

/// <summary>Logarithms of softmax probabilities.</summary>
public static class LogProbability
{
    /// <summary>ln of the probability of one id under the softmax of <paramref name="logits"/> [vocabulary], summed in F64.</summary>
    public static double Of(ReadOnlySpan<float> logits, int id)
    {
        float maximum = float.NegativeInfinity;
        foreach (float logit in logits) maximum = MathF.Max(maximum, logit);
        double sum = 0;
        foreach (float logit in logits) sum += Math.Exp(logit - maximum);
        return logits[id] - maximum - Math.Log(sum);
    }
}
