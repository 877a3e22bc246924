using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Reference;

/// <summary>The choice of experts and the sum of what they return.</summary>
internal static class Experts
{
    public static void Route(Router op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        var spec = op.Spec;
        double[]? correction = op.Correction is null ? null : step.Weights.Get(op.Correction);
        for (int r = 0; r < x[0].Length / spec.Experts; r++)
        {
            double[] scores = Scores(x[0].AsSpan(r * spec.Experts, spec.Experts), spec.Score);
            double[] choice = [.. scores.Select((s, e) => s + (correction?[e] ?? 0))];
            int size = spec.Experts / spec.Groups;
            var groups = Enumerable.Range(0, spec.Groups)
                .OrderByDescending(g => spec.Groups == 1 ? 0 : choice.Skip(g * size).Take(size).OrderDescending().Take(2).Sum()).Take(spec.UsedGroups).ToHashSet();
            int[] chosen = [.. Enumerable.Range(0, spec.Experts).Where(e => groups.Contains(e / size)).OrderByDescending(e => choice[e]).Take(spec.UsedExperts)];
            double sum = spec.Normalize ? chosen.Sum(e => scores[e]) + spec.NormalizeEpsilon : 1;
            for (int j = 0; j < chosen.Length; j++)
                (y[0][r * chosen.Length + j], y[1][r * chosen.Length + j]) = (chosen[j], scores[chosen[j]] / sum * spec.Scale);
        }
    }

    public static void Combine(CombineExperts op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        int used = types[1].Width, width = types[0].Width / used;
        for (int r = 0; r < x[1].Length / used; r++)
            for (int i = 0; i < width; i++)
            {
                double sum = 0;
                for (int j = 0; j < used; j++) sum += x[1][r * used + j] * x[0][(r * used + j) * width + i];
                y[0][r * width + i] = sum;
            }
    }

    private static double[] Scores(ReadOnlySpan<double> logits, RouterScore score)
    {
        double[] values = logits.ToArray();
        if (score == RouterScore.Sigmoid) return Array.ConvertAll(values, v => 1 / (1 + Math.Exp(-v)));
        double maximum = values.Max(), sum = values.Sum(v => Math.Exp(v - maximum));
        return Array.ConvertAll(values, v => Math.Exp(v - maximum) / sum);
    }
}
