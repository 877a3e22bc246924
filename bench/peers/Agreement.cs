namespace Tare.Bench.Peers;

/// <summary>How far other logits of a text are from those of Tare in F32 arithmetic.</summary>
/// <param name="MeanKl">Mean over positions of KL(ours ‖ theirs), nats.</param>
/// <param name="WorstKl">The largest of them.</param>
/// <param name="Nmse">Mean square of the difference over that of ours, both without their mean over the vocabulary, which softmax ignores.</param>
/// <param name="SameBest">Share of positions with the same best token.</param>
/// <param name="Perplexity">Of theirs over the text.</param>
internal sealed record Agreement(double MeanKl, double WorstKl, double Nmse, double SameBest, double Perplexity)
{
    // 8-bit activations before 4-bit weights give an NMSE below 0.01 and a KL below 0.02; a broken kernel gives about 1 and more.
    private const double MostNmse = 0.05, MostKl = 0.1;

    /// <summary>Whether the difference is what rounding explains.</summary>
    public bool IsRounding => Nmse <= MostNmse && MeanKl <= MostKl;

    /// <summary>Compares logits [tokens, vocabulary].</summary>
    public static Agreement Of(float[] ours, float[] theirs, int[] tokens)
    {
        int width = ours.Length / tokens.Length;
        double sumKl = 0, worst = 0, error = 0, energy = 0, loss = 0;
        int same = 0;
        for (int t = 0; t < tokens.Length; t++)
        {
            ReadOnlySpan<float> a = ours.AsSpan(t * width, width), b = theirs.AsSpan(t * width, width);
            double logA = LogSum(a), logB = LogSum(b), meanA = Mean(a), meanB = Mean(b), kl = 0;
            for (int i = 0; i < width; i++)
            {
                double x = a[i] - meanA, d = x - (b[i] - meanB);
                (error, energy) = (error + d * d, energy + x * x);
                kl += Math.Exp(a[i] - logA) * (a[i] - logA - (b[i] - logB));
            }
            (sumKl, worst) = (sumKl + kl, double.IsNaN(kl) ? double.NaN : Math.Max(worst, kl));
            if (Best(a) == Best(b)) same++;
            if (t + 1 < tokens.Length) loss += logB - b[tokens[t + 1]];
        }
        return new Agreement(sumKl / tokens.Length, worst, error / energy, (double)same / tokens.Length, Math.Exp(loss / Math.Max(1, tokens.Length - 1)));
    }

    private static double LogSum(ReadOnlySpan<float> logits)
    {
        double most = double.NegativeInfinity, sum = 0;
        foreach (float x in logits) most = Math.Max(most, x);
        foreach (float x in logits) sum += Math.Exp(x - most);
        return most + Math.Log(sum);
    }

    private static double Mean(ReadOnlySpan<float> logits)
    {
        double sum = 0;
        foreach (float x in logits) sum += x;
        return sum / logits.Length;
    }

    private static int Best(ReadOnlySpan<float> logits)
    {
        int best = 0;
        for (int i = 1; i < logits.Length; i++)
            if (logits[i] > logits[best]) best = i;
        return best;
    }
}
