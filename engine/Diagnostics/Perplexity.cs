using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Graphs;

namespace Tare.Diagnostics;

/// <summary>Negative log-likelihoods of scored tokens, in nats, with their summary.</summary>
/// <param name="Scored">Number of scored tokens.</param>
/// <param name="MeanNll">Their mean.</param>
/// <param name="Perplexity">e to the mean.</param>
public sealed record LikelihoodSummary(int Scored, double MeanNll, double Perplexity)
{
    internal static LikelihoodSummary Of(IReadOnlyCollection<double> nlls) => new(nlls.Count, nlls.Average(), Math.Exp(nlls.Average()));
}

/// <summary>Perplexity of a text over windows.</summary>
/// <param name="Windows">Whole windows.</param>
/// <param name="All">Every token but the first of each window.</param>
/// <param name="MedianNll">Median of the same.</param>
/// <param name="P95Nll">95th percentile, by linear interpolation.</param>
/// <param name="LastHalf">The tokens N/2 + 1 … N − 1 of each window (0-based): those that have half a window before them.</param>
/// <param name="WindowMeans">Mean of each window.</param>
public sealed record PerplexityReport(int Windows, LikelihoodSummary All, double MedianNll, double P95Nll, LikelihoodSummary LastHalf, IReadOnlyList<double> WindowMeans);

/// <summary>
/// Perplexity by consecutive windows: the tokens of a text are cut into windows of N (with BOS in front of each where the tokenizer adds one: N − 1 tokens of text), the incomplete last one is dropped, and each
/// window starts from an empty cache.
/// </summary>
public static class Perplexity
{
    /// <summary>Scores token ids without specials. <paramref name="progress"/> counts windows. <paramref name="edits"/> apply to every window. Throws <see cref="ArgumentException"/> where there is no whole window.</summary>
    public static PerplexityReport Compute(IBackend backend, Graph graph, ReadOnlySpan<int> ids, int? beginning, int context, IProgress<(int Done, int Total)>? progress = null, CancellationToken cancel = default, StepEdits? edits = null)
    {
        int[][] windows = WindowProgram.Cut(ids, beginning, context);
        using var program = new WindowProgram(backend, graph, context, cancel, edits);
        List<double> all = [], lastHalf = [], means = [];
        for (int w = 0; w < windows.Length; w++)
        {
            double[] nlls = Score(program, windows[w], cancel);
            all.AddRange(nlls);
            lastHalf.AddRange(nlls.AsSpan(context / 2));
            means.Add(nlls.Average());
            progress?.Report((w + 1, windows.Length));
        }
        double[] sorted = [.. all.Order()];
        return new PerplexityReport(windows.Length, LikelihoodSummary.Of(all), Percentiles.Of(sorted, 0.5), Percentiles.Of(sorted, 0.95), LikelihoodSummary.Of(lastHalf), means);
    }

    // −ln p of the tokens 1 … of a window.
    private static double[] Score(WindowProgram program, int[] window, CancellationToken cancel)
    {
        var nlls = new double[window.Length - 1];
        int vocabulary = program.Vocabulary;
        for (int at = 0; at < nlls.Length; at += program.Rows)
        {
            cancel.ThrowIfCancellationRequested();
            int count = Math.Min(program.Rows, window.Length - at), first = at;
            float[] values = program.Run(window, at, count, cancel);
            Parallel.For(0, Math.Min(count, nlls.Length - at), r => nlls[first + r] = -LogProbability.Of(values.AsSpan(r * vocabulary, vocabulary), window[first + r + 1]));
        }
        return nlls;
    }
}
