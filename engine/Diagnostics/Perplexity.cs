using Tare.Execution;
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
    private const long MaximumLogits = 1 << 25; // of a step: 128 MiB

    /// <summary>Scores token ids without specials. <paramref name="progress"/> counts windows. Throws <see cref="ArgumentException"/> where there is no whole window.</summary>
    public static PerplexityReport Compute(IBackend backend, Graph graph, ReadOnlySpan<int> ids, int? beginning, int context, IProgress<(int Done, int Total)>? progress = null, CancellationToken cancel = default)
    {
        if (context < 4) throw new ArgumentException($"a window of {context} tokens is too short (at least 4)");
        int text = beginning is null ? context : context - 1, windows = ids.Length / text;
        if (windows == 0) throw new ArgumentException($"the text has {ids.Length} tokens, a window needs {text}");
        int chunk = (int)Math.Clamp(MaximumLogits / graph.TypeOf(graph.FindOutput(GraphBuilder.LogitsOutput)!.Value).Width, 1, Math.Min(512, context));
        using var weights = backend.CreateWeightStore();
        using var program = backend.Compile(graph, weights, new ProgramLimits(chunk, 1, chunk), cancel: cancel);
        using var state = backend.CreateState(StateLayout.ForOneSequence(program.Signature.Kv, context, chunk));
        List<double> all = [], lastHalf = [], means = [];
        for (int w = 0; w < windows; w++)
        {
            int[] window = beginning is int bos ? [bos, .. ids.Slice(w * text, text)] : ids.Slice(w * text, text).ToArray();
            double[] nlls = Score(program, state, window, chunk, cancel);
            all.AddRange(nlls);
            lastHalf.AddRange(nlls.AsSpan(context / 2));
            means.Add(nlls.Average());
            progress?.Report((w + 1, windows));
        }
        double[] sorted = [.. all.Order()];
        return new PerplexityReport(windows, LikelihoodSummary.Of(all), Percentile(sorted, 0.5), Percentile(sorted, 0.95), LikelihoodSummary.Of(lastHalf), means);
    }

    // −ln p of the tokens 1 … of a window.
    private static double[] Score(IProgram program, IState state, int[] window, int chunk, CancellationToken cancel)
    {
        var nlls = new double[window.Length - 1];
        var (table, starts) = state.Layout.TablesOfOneSequence(window.Length);
        var output = program.Signature.Output(GraphBuilder.LogitsOutput);
        for (int at = 0; at < window.Length - 1; at += chunk)
        {
            cancel.ThrowIfCancellationRequested();
            int count = Math.Min(chunk, window.Length - at);
            var ticket = program.Enqueue(new Step
            {
                Sequences = [new SequenceRows(0, 0, count, at, Phase.Prompt, window.Length)],
                Tokens = window.AsSpan(at, count),
                Pages = table,
                PageStarts = starts,
                OutputRows = Enumerable.Range(0, count).ToArray(),
            }, starts.Length == 0 ? [] : [state]);
            program.Wait(ticket, cancel);
            var logits = program.Output<float>(ticket, output);
            int vocabulary = logits.Length / count;
            float[] values = logits.ToArray(); // a span can't cross into the threads that score
            int first = at;
            Parallel.For(0, Math.Min(count, nlls.Length - at), r => nlls[first + r] = -LogProbability.Of(values.AsSpan(r * vocabulary, vocabulary), window[first + r + 1]));
            program.Release(ticket);
        }
        return nlls;
    }

    private static double Percentile(double[] sorted, double share)
    {
        double at = share * (sorted.Length - 1);
        int below = (int)at;
        return below + 1 < sorted.Length ? sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]) : sorted[below];
    }
}
