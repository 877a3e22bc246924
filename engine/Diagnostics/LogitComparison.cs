using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Graphs;

namespace Tare.Diagnostics;

/// <summary>How far the logits of two graphs lie apart over the same tokens.</summary>
/// <param name="Tokens">Compared rows.</param>
/// <param name="MaxDifference">Largest |Δlogit|.</param>
/// <param name="RelativeDifference">The same over the largest |logit| of the first graph.</param>
/// <param name="Nmse">Worst row's mse(b, a) / mse(a, 0).</param>
/// <param name="MeanKl">Mean of KL(a ‖ b) over rows, in nats.</param>
/// <param name="MaxKl">Largest of them.</param>
/// <param name="Top1Agreement">Share of rows whose largest logit is the same.</param>
/// <param name="PerplexityBefore">Of the first graph over the same windows.</param>
/// <param name="PerplexityAfter">Of the second.</param>
/// <param name="StreamBefore">|mean| / rms of the stream where each block begins (and behind the last), averaged over rows.</param>
/// <param name="StreamAfter">The same for the second graph; null where it stores the stream in other coordinates.</param>
public sealed record LogitComparisonReport(int Tokens, double MaxDifference, double RelativeDifference, double Nmse, double MeanKl, double MaxKl, double Top1Agreement, double PerplexityBefore, double PerplexityAfter,
    IReadOnlyList<double> StreamBefore, IReadOnlyList<double>? StreamAfter);

/// <summary>Compares two graphs over windows of a text: logits, probabilities, perplexity, and what mean is left in the residual stream.</summary>
public static class LogitComparison
{
    private const int Chunk = 32;

    /// <summary>Compares over consecutive windows of at most <paramref name="context"/> tokens. In F64 with the Reference backend, in F32 with others. Each graph's <paramref name="edits"/> apply to every window.</summary>
    public static LogitComparisonReport Compute(IBackend backend, Graph before, Graph after, int[] ids, int? beginning, int context, IProgress<(int Done, int Total)>? progress = null, CancellationToken cancel = default, (StepEdits? Before, StepEdits? After) edits = default)
    {
        int vocabulary = Vocabulary(before);
        if (Vocabulary(after) != vocabulary) throw new ArgumentException($"the models have vocabularies of {vocabulary} and {Vocabulary(after)} tokens, so their logits can't be compared");
        if (ids.Length < 2) throw new ArgumentException("at least two tokens are needed");
        using var a = new ProgramRunner(backend, Tapped(before), context, Chunk, cancel, edits.Before);
        using var b = new ProgramRunner(backend, Tapped(after), context, Chunk, cancel, edits.After);
        var sums = new Sums(vocabulary);
        var (streamA, streamB) = (new StreamMeans(before), new StreamMeans(after));
        int text = beginning is null ? context : context - 1;
        for (int start = 0; start < ids.Length; start += text)
        {
            int[] window = [.. beginning is int bos ? [bos] : Array.Empty<int>(), .. ids.Skip(start).Take(text)];
            for (int at = 0; at < window.Length; at += Chunk)
            {
                int count = Math.Min(Chunk, window.Length - at);
                a.Step(window.AsSpan(at, count), at, window.Length, cancel);
                b.Step(window.AsSpan(at, count), at, window.Length, cancel);
                sums.Add(a.Output<double>(GraphBuilder.LogitsOutput), b.Output<double>(GraphBuilder.LogitsOutput), window.AsSpan(at + 1 < window.Length ? at + 1 : window.Length));
                streamA.Add(a);
                streamB.Add(b);
            }
            progress?.Report((Math.Min(start + text, ids.Length), ids.Length));
        }
        bool sameCoordinates = streamA.Width == streamB.Width;
        return sums.Report(streamA.Means(), sameCoordinates ? streamB.Means() : null);
    }

    private static int Vocabulary(Graph graph) => graph.TypeOf(graph.FindOutput(GraphBuilder.LogitsOutput) ?? throw new GraphException("the model has no head, so it gives no logits")).Width;

    private static Graph Tapped(Graph graph) => graph.WithOutputs([.. graph.Outputs.Where(o => o.Name == GraphBuilder.LogitsOutput), .. StreamMeans.Values(graph).Select((v, i) => new GraphOutput($"stream.{i}", v))]);

    private sealed class Sums(int vocabulary)
    {
        private double _max, _largest, _nmse, _kl, _maxKl, _nllBefore, _nllAfter;
        private int _rows, _same, _scored;

        public void Add(ReadOnlySpan<double> a, ReadOnlySpan<double> b, ReadOnlySpan<int> next)
        {
            for (int r = 0; r < a.Length / vocabulary; r++)
            {
                ReadOnlySpan<double> x = a.Slice(r * vocabulary, vocabulary), y = b.Slice(r * vocabulary, vocabulary);
                double error = 0, energy = 0;
                int bestX = 0, bestY = 0;
                for (int i = 0; i < x.Length; i++)
                {
                    double difference = Math.Abs(x[i] - y[i]);
                    _max = double.IsNaN(difference) ? double.PositiveInfinity : Math.Max(_max, difference);
                    _largest = Math.Max(_largest, Math.Abs(x[i]));
                    error += difference * difference;
                    energy += x[i] * x[i];
                    if (x[i] > x[bestX]) bestX = i;
                    if (y[i] > y[bestY]) bestY = i;
                }
                double normalizerX = LogSum(x, x[bestX]), normalizerY = LogSum(y, y[bestY]), kl = 0;
                for (int i = 0; i < x.Length; i++) kl += Math.Exp(x[i] - normalizerX) * (x[i] - normalizerX - (y[i] - normalizerY));
                _nmse = Math.Max(_nmse, energy > 0 ? error / energy : 0);
                _kl += Math.Max(0, kl);
                _maxKl = Math.Max(_maxKl, kl);
                _rows++;
                if (bestX == bestY) _same++;
                if (r >= next.Length) continue;
                _nllBefore += normalizerX - x[next[r]];
                _nllAfter += normalizerY - y[next[r]];
                _scored++;
            }
        }

        public LogitComparisonReport Report(double[] before, double[]? after) => new(_rows, _max, _largest > 0 ? _max / _largest : 0, _nmse, _kl / _rows, _maxKl, (double)_same / _rows,
            Math.Exp(_nllBefore / Math.Max(1, _scored)), Math.Exp(_nllAfter / Math.Max(1, _scored)), before, after);

        private static double LogSum(ReadOnlySpan<double> logits, double maximum)
        {
            double sum = 0;
            foreach (double logit in logits) sum += Math.Exp(logit - maximum);
            return maximum + Math.Log(sum);
        }
    }

    // |mean| / rms of the stream at the entry of each block and before the final norm.
    private sealed class StreamMeans(Graph graph)
    {
        private readonly double[] _sums = new double[Values(graph).Count];
        private int _rows;

        public int Width { get; } = graph.HiddenStates.IsEmpty ? 0 : graph.TypeOf(graph.HiddenStates[0]).Width;

        public static List<Value> Values(Graph graph)
            => graph.HiddenStates.IsEmpty ? [] : [.. graph.HiddenStates[..^1], graph.OpOf(graph.HiddenStates[^1]) is Tare.Graphs.Ops.Norm ? graph.Nodes[graph.HiddenStates[^1].Node].Inputs[0] : graph.HiddenStates[^1]];

        public void Add(ProgramRunner runner)
        {
            for (int s = 0; s < _sums.Length; s++)
            {
                var rows = runner.Output<double>($"stream.{s}");
                for (int start = 0; start < rows.Length; start += Width)
                {
                    double mean = 0, squares = 0;
                    foreach (double v in rows.Slice(start, Width))
                    {
                        mean += v / Width;
                        squares += v * v / Width;
                    }
                    _sums[s] += squares > 0 ? Math.Abs(mean) / Math.Sqrt(squares) : 0;
                    if (s == 0) _rows++;
                }
            }
        }

        public double[] Means() => [.. _sums.Select(s => s / Math.Max(1, _rows))];
    }
}
