using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Rewrites;

/// <summary>
/// Static norms disappear into the products that read them: W ← W diag(g/√ε) C, b ← b + W_old β, where C takes the mean away if the norm did (LN-free GPT-2: Baroni et al. 2025, arXiv 2507.02559). Norms that
/// something else reads too are left with the reason.
/// </summary>
public sealed class StaticFold : IRewrite
{
    /// <inheritdoc/>
    public string Name => "static-fold";

    /// <inheritdoc/>
    public Graph Apply(Graph graph, RewriteReport report) => Fold(graph, report, Name, centered: true);

    internal static Graph Fold(Graph graph, RewriteReport report, string pass, bool centered)
    {
        var uses = new ValueUses(graph);
        var ops = new Dictionary<int, Op>();
        var gone = new HashSet<int>();
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            if (graph.Nodes[i].Op is not Norm { Spec.Kind: NormKind.Static } norm || norm.Spec.Center != centered) continue;
            if (NormReaders.Obstacle(graph, uses, i) is { } obstacle)
            {
                report.Leave(pass, graph, i, $"{RewriteReport.Label(graph, obstacle.Node)}: {obstacle.Reason}");
                continue;
            }
            int width = graph.TypeOf(new Value(i)).Width;
            Weight? gain = NormReaders.EffectiveGain(norm, width, 1 / Math.Sqrt(norm.Spec.Epsilon)), bias = norm.Bias is null ? null : NormReaders.Tile(norm.Bias, width);
            var map = new RankOneMap(RankOneKind.Center, width / norm.Spec.Groups);
            foreach (var use in uses.Of(new Value(i)))
                ops[use.Node] = NormReaders.Change(ops.GetValueOrDefault(use.Node) ?? graph.Nodes[use.Node].Op, w =>
                {
                    if (gain is not null) w = new ScaleInputWeight(w, gain);
                    return norm.Spec.Center ? new MapInputWeight(w, map, norm.Spec.Groups) : w;
                }, bias);
            gone.Add(i);
            report.Change(pass, graph, i, uses.Of(new Value(i)).Count is > 0 and int products ? $"disappears into {products} product{(products == 1 ? "" : "s")}" : "disappears; only a hidden state was read from it");
        }
        return GraphRebuild.WithOps(graph, ops, gone);
    }
}
