using Tare.Backends.Reference;
using Tare.Diagnostics;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Rewrites;
using Tare.Tests.Support;

namespace Tare.Tests.Rewrites;

/// <summary>Frozen norms divide by the average of what the norms divided by, position 0 apart, whole rows and groups of them.</summary>
public sealed class FreezeNormsTests
{
    private const int Width = 12, Groups = 3, Window = 4;
    private const double Epsilon = 0.01;
    private static readonly int[] Tokens = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9]; // three windows and a token that none has

    [Fact]
    public void Frozen_norms_are_the_norms_with_the_average_denominators_of_the_calibration_text()
    {
        var g = new GraphBuilder();
        double[] table = RandomModel.Matrix(1, "table", 10, Width, 5).ToWideVector(), gain = RandomModel.Matrix(1, "gain", 1, Width).ToWideVector(), bias = RandomModel.Matrix(1, "bias", 1, Width).ToWideVector();
        Value rows = g.Embed(RandomModel.Matrix(1, "table", 10, Width, 5));
        Value whole = g.Norm(rows, NormSpec.LayerNorm(Epsilon), new(RandomModel.Matrix(1, "gain", 1, Width), RandomModel.Matrix(1, "bias", 1, Width)));
        Value parts = g.Norm(rows, NormSpec.RmsNorm(Epsilon, groups: Groups), new(RandomModel.Matrix(1, "gain", 1, Width)));
        Value x = g.Add(whole, parts);
        using (g.Block(x)) x = g.Add(x, x);
        var graph = g.Finish(x, v => v, v => g.Linear(v, RandomModel.Matrix(1, "head", 10, Width)));
        int[] norms = [.. Enumerable.Range(0, graph.Nodes.Length).Where(i => graph.Nodes[i].Op is Norm)];
        using var backend = new ReferenceBackend(1);
        var scales = NormCalibration.Measure(backend, graph, norms, Tokens, null, Window);

        double[] first = new double[1 + Groups], others = new double[1 + Groups];
        for (int p = 0; p < 12; p++)
            for (int part = 0; part <= Groups; part++)
                if (p % Window == 0) first[part] += Denominator(Tokens[p], part) / 3;
                else others[part] += Denominator(Tokens[p], part) / 9;
        Close([.. scales[norms[0]].First, .. scales[norms[1]].First], first);
        Close([.. scales[norms[0]].Others, .. scales[norms[1]].Others], others);

        var report = new RewriteReport();
        var frozen = new FreezeNorms(scales, 16).Apply(graph, report);
        report.Changes.Select(c => c.What).ShouldAllBe(w => w.Contains("at position 0", StringComparison.Ordinal));
        frozen.Nodes.Select(n => n.Op).OfType<Norm>().ShouldAllBe(n => n.Spec.Kind == NormKind.Static);
        int[] other = [7, 0, 7, 2, 7, 7]; // longer than a window, and not what was measured
        double[] values = WholeSequences.RunChunked<double>(backend, frozen.WithOutputs([new GraphOutput("stream", frozen.HiddenStates[0])]), other, 4)["stream"];
        Close(values, [.. other.SelectMany((token, p) => Enumerable.Range(0, Width).Select(c =>
        {
            double[] row = Row(token), by = p == 0 ? first : others;
            return (row[c] - row.Average()) / by[0] * gain[c] + bias[c] + row[c] / by[1 + c / (Width / Groups)] * gain[c];
        }))]);

        double[] Row(int token) => table[(token * Width)..((token + 1) * Width)];

        // Part 0 is the LayerNorm's row, others are the groups.
        double Denominator(int token, int part)
        {
            double[] row = Row(token);
            int group = Width / Groups;
            return Math.Sqrt(Epsilon + (part == 0 ? row.Average(v => (v - row.Average()) * (v - row.Average())) : row[((part - 1) * group)..(part * group)].Average(v => v * v)));
        }
    }

    private static void Close(double[] actual, double[] expected)
    {
        actual.Length.ShouldBe(expected.Length);
        for (int i = 0; i < actual.Length; i++) actual[i].ShouldBe(expected[i], 1e-6 * (1 + Math.Abs(expected[i])), $"element {i}"); // gains are stored in F32
    }
}
