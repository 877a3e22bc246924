using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Reference;

/// <summary>The cache and attention over it, one query and head at a time.</summary>
internal static class AttentionOps
{
    public static void Append(KvAppend op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        var (g, index) = step.State!.Layout.Kv.Find(op.Layer);
        var group = step.State.Layout.Kv.Groups[g];
        for (int r = 0; r < step.Rows; r++)
        {
            int position = step.PositionOf[r], within = position % KvLayout.PageTokens;
            double[] page = step.PageOf(step.SequenceOf[r], g, position);
            CachedValues.Round(op.KeyType, op.KeyWidth / op.Heads, x[0].AsSpan(r * op.KeyWidth, op.KeyWidth), page.AsSpan((int)group.KeyOffset(index, within), op.KeyWidth));
            if (op.ValueWidth > 0) CachedValues.Round(op.ValueType, op.ValueWidth / op.Heads, x[1].AsSpan(r * op.ValueWidth, op.ValueWidth), page.AsSpan((int)group.ValueOffset(index, within), op.ValueWidth));
        }
        step.Caches[y[0]] = op.Layer;
    }

    public static void Attend(Attention op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        var spec = op.Spec;
        double[]? sinks = spec.Sinks is null ? null : step.Weights.Get(spec.Sinks);
        for (int r = 0; r < step.Rows; r++)
        {
            var sequence = step.Sequences[step.SequenceOf[r]];
            int position = step.PositionOf[r];
            int first = x.Length == 3 ? sequence.FirstPosition : 0, last = spec.Mask == AttentionMask.Causal ? position : sequence.FirstPosition + sequence.Rows - 1;
            if (spec.Window is int window) first = Math.Max(first, position - window + 1);
            for (int h = 0; h < spec.Heads; h++)
            {
                var query = x[0].AsSpan(r * types[0].Width + h * spec.KeyWidth, spec.KeyWidth);
                int kvHead = h / (spec.Heads / spec.KvHeads);
                var scores = new double[last - first + 1];
                for (int p = first; p <= last; p++)
                {
                    double score = 0;
                    var key = Key(p, kvHead);
                    for (int i = 0; i < query.Length; i++) score += query[i] * key[i];
                    score *= spec.Scale;
                    if (spec.SoftCap is double cap) score = cap * Math.Tanh(score / cap);
                    if (!spec.AlibiSlopes.IsEmpty) score += spec.AlibiSlopes[h] * (p - position);
                    scores[p - first] = score;
                }
                double maximum = scores.Max();
                if (sinks is not null) maximum = Math.Max(maximum, sinks[h]);
                double sum = sinks is null ? 0 : Math.Exp(sinks[h] - maximum);
                var output = y[0].AsSpan((r * spec.Heads + h) * spec.ValueWidth, spec.ValueWidth);
                output.Clear();
                for (int p = first; p <= last; p++)
                {
                    double weight = Math.Exp(scores[p - first] - maximum);
                    sum += weight;
                    var value = ValueOf(p, kvHead);
                    for (int i = 0; i < output.Length; i++) output[i] += weight * value[i];
                }
                for (int i = 0; i < output.Length; i++) output[i] /= sum;
                if (op.Statistics) Describe([.. scores.Select(s => Math.Exp(s - maximum) / sum)], sinks is null ? 0 : Math.Exp(sinks[h] - maximum) / sum, first, y, r * spec.Heads + h);
            }

            ReadOnlySpan<double> Key(int p, int head)
            {
                if (x.Length == 3) return x[1].AsSpan((sequence.FirstRow + p - sequence.FirstPosition) * types[1].Width + head * spec.KeyWidth, spec.KeyWidth);
                var (g, index) = step.State!.Layout.Kv.Find(step.Caches[x[1]]);
                return step.PageOf(step.SequenceOf[r], g, p).AsSpan((int)step.State.Layout.Kv.Groups[g].KeyOffset(index, p % KvLayout.PageTokens) + head * spec.KeyWidth, spec.KeyWidth);
            }

            ReadOnlySpan<double> ValueOf(int p, int head)
            {
                if (spec.ValueFromKey) return Key(p, head)[..spec.ValueWidth];
                if (x.Length == 3) return x[2].AsSpan((sequence.FirstRow + p - sequence.FirstPosition) * types[2].Width + head * spec.ValueWidth, spec.ValueWidth);
                var (g, index) = step.State!.Layout.Kv.Find(step.Caches[x[1]]);
                return step.PageOf(step.SequenceOf[r], g, p).AsSpan((int)step.State.Layout.Kv.Groups[g].ValueOffset(index, p % KvLayout.PageTokens) + head * spec.ValueWidth, spec.ValueWidth);
            }
        }
    }

    // Statistics of the weights of the keys from a first position on, and of a learned sink (0 = none).
    private static void Describe(double[] weights, double sink, int first, double[][] y, int at)
    {
        y[Attention.Entropy][at] = weights.Append(sink).Where(p => p > 0).Sum(p => -p * Math.Log(p));
        y[Attention.Largest][at] = weights.Max();
        y[Attention.First][at] = first == 0 ? weights[0] : 0;
    }
}
