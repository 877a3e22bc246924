using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Rewrites;

/// <summary>
/// Gain and bias of norms move into the products that read them: W ← W diag(g), b ← b + W_old β. The norm stays bare. Norms that something else reads too are left with the reason. A tied head becomes a matrix
/// of its own.
/// </summary>
public sealed class FoldAffine : IRewrite
{
    /// <inheritdoc/>
    public string Name => "fold-affine";

    /// <inheritdoc/>
    public Graph Apply(Graph graph, RewriteReport report)
    {
        var uses = new ValueUses(graph);
        var ops = new Dictionary<int, Op>();
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            if (graph.Nodes[i].Op is not Norm { Spec.Kind: NormKind.LayerNorm or NormKind.RmsNorm or NormKind.Static or NormKind.UnitLength or NormKind.DynamicTanh or NormKind.BoundedTanh } norm || (norm.Gain is null && norm.Bias is null && norm.Spec.OutputScale.Equals(1.0))) continue;
            if (NormReaders.Obstacle(graph, uses, i) is { } obstacle)
            {
                report.Leave(Name, graph, i, $"{RewriteReport.Label(graph, obstacle.Node)}: {obstacle.Reason}");
                continue;
            }
            int width = graph.TypeOf(new Value(i)).Width;
            Weight? gain = NormReaders.EffectiveGain(norm, width), bias = norm.Bias is null ? null : NormReaders.Tile(norm.Bias, width);
            foreach (var use in uses.Of(new Value(i)))
                ops[use.Node] = NormReaders.Change(ops.GetValueOrDefault(use.Node) ?? graph.Nodes[use.Node].Op, w => gain is null ? w : new ScaleInputWeight(w, gain), bias);
            ops[i] = norm with { Spec = norm.Spec with { GainOffset = 0, OutputScale = 1 }, Gain = null, Bias = null };
            report.Change(Name, graph, i, $"gain and bias move into {uses.Of(new Value(i)).Count} products");
        }
        return GraphRebuild.WithOps(graph, ops);
    }
}
