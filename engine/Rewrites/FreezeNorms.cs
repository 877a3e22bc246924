using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Rewrites;

/// <summary>The average denominators of a norm.</summary>
/// <param name="First">At position 0: one a group.</param>
/// <param name="Others">Elsewhere: one a group.</param>
public sealed record FrozenScale(double[] First, double[] Others);

/// <summary>
/// Replaces norms by their average scale: √(var + ε) becomes a constant, measured over a calibration text (what training makes of LN-free GPT-2, without the training: Baroni et al. 2025, arXiv 2507.02559). The
/// mean is still taken away. Position 0, whose rows are far larger in many models, has a constant of its own: rows are multiplied by a factor looked up by position. Not an equivalent model: measure its loss.
/// </summary>
/// <param name="scales">By node; norms that are not listed stay.</param>
/// <param name="positions">Positions that the factors cover.</param>
public sealed class FreezeNorms(IReadOnlyDictionary<int, FrozenScale> scales, int positions) : IRewrite
{
    /// <inheritdoc/>
    public string Name => "freeze";

    /// <inheritdoc/>
    public Graph Apply(Graph graph, RewriteReport report) => GraphRebuild.Run(graph, (rebuild, i, inputs) =>
    {
        if (!scales.TryGetValue(i, out var scale)) return null;
        var node = graph.Nodes[i];
        var norm = node.Op is Norm { Spec.Kind: NormKind.LayerNorm or NormKind.RmsNorm } found ? found : throw new RewriteRefusedException(Name, RewriteReport.Label(graph, i), "is no norm that depends on its rows");
        var x = inputs[0];
        var type = graph.TypeOf(node.Inputs[0]);
        if (norm.Spec.Groups == 1) x = rebuild.Append(new Multiply(), node.Block, [x, Factors(rebuild, scale.Others[0] / scale.First[0], type.Rows)])[0];
        report.Change(Name, graph, i, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"scale 1/{scale.Others.Average():G6}{(norm.Spec.Groups == 1 ? $", at position 0 1/{scale.First[0]:G6}" : "")}"));
        return rebuild.Append(norm with { Spec = new NormSpec(NormKind.Static, 1, Groups: norm.Spec.Groups, Center: norm.Spec.SubtractsMean), Gain = Gain(norm, type.Width, scale.Others) }, node.Block, [x]);
    });

    // [Rows, 1]: the ratio at position 0, 1 elsewhere.
    private Value Factors(GraphRebuild rebuild, double ratio, RowAxis rows)
    {
        var table = new float[positions];
        Array.Fill(table, 1);
        table[0] = (float)ratio;
        var index = rebuild.Input(InputKind.Positions);
        var factors = rebuild.Append(new Embed(new ConstantWeight("factor of position 0", positions, 1, table)), -1, [index])[0];
        return rows == RowAxis.Rows ? factors : rebuild.Append(new SelectRows(), -1, [factors])[0];
    }

    private static ConstantWeight Gain(Norm norm, int width, double[] denominators)
    {
        double[] gain = NormReaders.EffectiveGain(norm, width)?.ToWideVector() ?? [.. Enumerable.Repeat(1.0, width)];
        int group = width / denominators.Length;
        return new ConstantWeight($"frozen {norm.Gain}", 1, width, [.. gain.Select((g, i) => (float)(g / denominators[i / group]))]);
    }
}
