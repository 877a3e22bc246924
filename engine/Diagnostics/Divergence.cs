using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Graphs;

namespace Tare.Diagnostics;

/// <summary>KL divergence KL(reference ‖ engine) in nats over the whole vocabulary, position by position.</summary>
/// <param name="Positions">Compared positions: all but the last of each window.</param>
/// <param name="Mean">Mean.</param>
/// <param name="Median">Median.</param>
/// <param name="P90">90th percentile, by linear interpolation like the others.</param>
/// <param name="P95">95th percentile.</param>
/// <param name="P99">99th percentile.</param>
/// <param name="P999">99.9th percentile.</param>
/// <param name="Max">The largest.</param>
public sealed record KlSummary(int Positions, double Mean, double Median, double P90, double P95, double P99, double P999, double Max);

/// <summary>Two models over one text.</summary>
/// <param name="Windows">Whole windows.</param>
/// <param name="Kl">How far the engine's distributions are from the reference's.</param>
/// <param name="TopAgreement">Share of positions where both have the same most probable token (the lower id of equals).</param>
/// <param name="Reference">Likelihood of the text under the reference.</param>
/// <param name="Engine">The same under the engine.</param>
public sealed record DivergenceReport(int Windows, KlSummary Kl, double TopAgreement, LikelihoodSummary Reference, LikelihoodSummary Engine);

/// <summary>Compares two models of one vocabulary: two files, two precisions, two graphs. Holds the logits of a few rows at a time.</summary>
public static class Divergence
{
    /// <summary>Runs both over the windows of a text, the engine with <paramref name="edits"/>. Throws <see cref="ArgumentException"/> where the vocabularies differ in size or there is no whole window.</summary>
    public static DivergenceReport Compute((IBackend Backend, Graph Graph) reference, (IBackend Backend, Graph Graph) engine, ReadOnlySpan<int> ids, int? beginning, int context, IProgress<(int Done, int Total)>? progress = null,
        CancellationToken cancel = default, StepEdits? edits = null)
    {
        int[][] windows = WindowProgram.Cut(ids, beginning, context);
        using var first = new WindowProgram(reference.Backend, reference.Graph, context, cancel);
        using var second = new WindowProgram(engine.Backend, engine.Graph, context, cancel, edits);
        if (first.Vocabulary != second.Vocabulary) throw new ArgumentException($"the models differ in their vocabulary ({first.Vocabulary} and {second.Vocabulary} tokens)");
        var rows = new List<Row>();
        for (int w = 0; w < windows.Length; w++)
        {
            Compare(first, second, windows[w], rows, cancel);
            progress?.Report((w + 1, windows.Length));
        }
        double[] sorted = [.. rows.Select(r => r.Kl).Order()];
        double At(double share) => Percentiles.Of(sorted, share);
        return new DivergenceReport(windows.Length, new KlSummary(sorted.Length, sorted.Average(), At(0.5), At(0.9), At(0.95), At(0.99), At(0.999), sorted[^1]), rows.Average(r => r.Agrees ? 1.0 : 0),
            LikelihoodSummary.Of([.. rows.Select(r => r.ReferenceNll)]), LikelihoodSummary.Of([.. rows.Select(r => r.EngineNll)]));
    }

    private static void Compare(WindowProgram reference, WindowProgram engine, int[] window, List<Row> rows, CancellationToken cancel)
    {
        int scored = window.Length - 1, most = Math.Min(reference.Rows, engine.Rows), vocabulary = reference.Vocabulary;
        for (int at = 0; at < scored; at += most)
        {
            cancel.ThrowIfCancellationRequested();
            int count = Math.Min(most, scored - at), first = at;
            float[] p = reference.Run(window, at, count, cancel), q = engine.Run(window, at, count, cancel);
            var results = new Row[count];
            Parallel.For(0, count, r => results[r] = Row.Of(p.AsSpan(r * vocabulary, vocabulary), q.AsSpan(r * vocabulary, vocabulary), window[first + r + 1]));
            rows.AddRange(results);
        }
    }

    /// <summary>KL(p ‖ q) of the softmax of two rows of logits, in nats, summed in F64.</summary>
    public static double Kl(ReadOnlySpan<float> p, ReadOnlySpan<float> q) => Row.Of(p, q, 0).Kl;

    private readonly record struct Row(double Kl, bool Agrees, double ReferenceNll, double EngineNll)
    {
        public static Row Of(ReadOnlySpan<float> p, ReadOnlySpan<float> q, int next)
        {
            var ((bestP, normalP), (bestQ, normalQ)) = (Normalizer(p), Normalizer(q));
            double kl = 0;
            for (int i = 0; i < p.Length; i++)
            {
                double log = p[i] - normalP, probability = Math.Exp(log);
                if (probability > 0) kl += probability * (log - (q[i] - normalQ));
            }
            return new Row(Math.Max(0, kl), bestP == bestQ, normalP - p[next], normalQ - q[next]);
        }

        // The first of the largest, and ln Σ e^x.
        private static (int Best, double Log) Normalizer(ReadOnlySpan<float> logits)
        {
            int best = 0;
            for (int i = 1; i < logits.Length; i++)
                if (logits[i] > logits[best]) best = i;
            double sum = 0;
            foreach (float logit in logits) sum += Math.Exp((double)logit - logits[best]);
            return (best, logits[best] + Math.Log(sum));
        }
    }
}
