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
/// mean is still taken away. Position 0, whose rows are far larger in many models, has constants of its own, by a factor looked up by position: before the norm where a row has one constant, before a second norm, which is
/// added there alone, where groups of it have one each. Not an equivalent model: measure its loss.
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
        report.Change(Name, graph, i, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"scale 1/{scale.Others.Average():G6}, at position 0 1/{scale.First.Average():G6}"));
        var type = graph.TypeOf(node.Inputs[0]);
        double[] gain = NormReaders.EffectiveGain(norm, type.Width)?.ToWideVector() ?? [.. Enumerable.Repeat(1.0, type.Width)], others = Divided(gain, scale.Others);
        var frozen = norm with { Spec = new NormSpec(NormKind.Static, 1, Groups: norm.Spec.Groups, Center: norm.Spec.SubtractsMean), Gain = Weight(norm, "", others) };
        Value Scaled(Value x, double first, double elsewhere) => rebuild.Append(new Multiply(), node.Block, [x, Factors(rebuild, first, elsewhere, type.Rows)])[0];
        if (norm.Spec.Groups == 1) return rebuild.Append(frozen, node.Block, [Scaled(inputs[0], scale.Others[0] / scale.First[0], 1)]);
        var difference = frozen with { Gain = Weight(norm, " at position 0", [.. Divided(gain, scale.First).Zip(others, (a, b) => a - b)]), Bias = null };
        var added = rebuild.Append(difference, node.Block, [Scaled(inputs[0], 1, 0)])[0];
        return rebuild.Append(new Add(), node.Block, [rebuild.Append(frozen, node.Block, [inputs[0]])[0], added]);
    });

    // [Rows, 1]: one factor at position 0, another elsewhere.
    private Value Factors(GraphRebuild rebuild, double first, double elsewhere, RowAxis rows)
    {
        var table = new float[positions];
        Array.Fill(table, (float)elsewhere);
        table[0] = (float)first;
        var index = rebuild.Input(InputKind.Positions);
        var factors = rebuild.Append(new Embed(new ConstantWeight("factor of position 0", positions, 1, table)), -1, [index])[0];
        return rows == RowAxis.Rows ? factors : rebuild.Append(new SelectRows(), -1, [factors])[0];
    }

    private static double[] Divided(double[] gain, double[] denominators) => [.. gain.Select((g, i) => g / denominators[i / (gain.Length / denominators.Length)])];

    private static ConstantWeight Weight(Norm norm, string where, double[] gain) => new($"frozen {norm.Gain}{where}", 1, gain.Length, [.. gain.Select(g => (float)g)]);
}
