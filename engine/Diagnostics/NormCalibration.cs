using System.Collections.Immutable;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Rewrites;

namespace Tare.Diagnostics;

/// <summary>Measures the average denominators √(var + ε) (for RMSNorm √(mean x² + ε)) of norms over windows of a text, position 0 apart from the others.</summary>
public static class NormCalibration
{
    private const int Chunk = 64;

    /// <summary>The scales of the given norm nodes. Windows hold <paramref name="context"/> tokens, with BOS in front where there is one. Throws <see cref="ArgumentException"/> where there is no whole window.</summary>
    public static IReadOnlyDictionary<int, FrozenScale> Measure(IBackend backend, Graph graph, IReadOnlyCollection<int> norms, int[] ids, int? beginning, int context, IProgress<(int Done, int Total)>? progress = null, CancellationToken cancel = default)
    {
        int text = beginning is null ? context : context - 1, windows = text < 1 ? 0 : ids.Length / text;
        if (windows == 0) throw new ArgumentException($"the calibration text has {ids.Length} tokens, a window needs {text}");
        var sums = norms.ToDictionary(n => n, n => new Sum(graph, n));
        using var runner = new ProgramRunner(backend, Tapped(graph, norms), context, Math.Min(Chunk, context), cancel);
        for (int w = 0; w < windows; w++)
        {
            int[] window = beginning is int bos ? [bos, .. ids.AsSpan(w * text, text)] : ids.AsSpan(w * text, text).ToArray();
            for (int at = 0; at < context; at += Chunk)
            {
                runner.Step(window.AsSpan(at, Math.Min(Chunk, context - at)), at, context, cancel);
                foreach (var (node, sum) in sums) sum.Add(runner.Output<float>($"norm.{node}"), at);
            }
            progress?.Report((w + 1, windows));
        }
        return sums.ToDictionary(s => s.Key, s => s.Value.Result());
    }

    // The norms' inputs become outputs, beside nothing else.
    private static Graph Tapped(Graph graph, IReadOnlyCollection<int> norms)
        => graph.WithOutputs([.. norms.Select(n => new GraphOutput($"norm.{n}", graph.Nodes[n].Inputs[0]))]);

    private sealed class Sum(Graph graph, int node)
    {
        private readonly NormSpec _spec = ((Norm)graph.Nodes[node].Op).Spec;
        private readonly int _width = graph.TypeOf(graph.Nodes[node].Inputs[0]).Width;
        private readonly double[] _first = new double[((Norm)graph.Nodes[node].Op).Spec.Groups], _others = new double[((Norm)graph.Nodes[node].Op).Spec.Groups];
        private long _firstCount, _otherCount;

        public void Add(ReadOnlySpan<float> rows, int firstPosition)
        {
            int group = _width / _spec.Groups;
            for (int r = 0; r < rows.Length / _width; r++)
            {
                double[] target = firstPosition + r == 0 ? _first : _others;
                if (firstPosition + r == 0) _firstCount++;
                else _otherCount++;
                for (int g = 0; g < _spec.Groups; g++) target[g] += Denominator(rows.Slice(r * _width + g * group, group));
            }
        }

        public FrozenScale Result()
        {
            if (_otherCount == 0) throw new ArgumentException("windows of one token have no positions but 0");
            return new FrozenScale([.. _first.Select(s => s / _firstCount)], [.. _others.Select(s => s / _otherCount)]);
        }

        private double Denominator(ReadOnlySpan<float> group)
        {
            double mean = 0, squares = 0;
            if (_spec.SubtractsMean)
                foreach (float v in group) mean += (double)v / group.Length;
            foreach (float v in group) squares += (v - mean) * (v - mean);
            return Math.Sqrt(squares / group.Length + _spec.Epsilon);
        }
    }
}
