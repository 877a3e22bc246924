using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Rewrites;

/// <summary>The factor 1/√layer of LayerNorm Scaling (Sun et al. 2025, arXiv 2502.05795) moves into the gain: any engine can run the result.</summary>
public sealed class LayerNormScalingFold : IRewrite
{
    /// <inheritdoc/>
    public string Name => "layernorm-scaling-fold";

    /// <inheritdoc/>
    public Graph Apply(Graph graph, RewriteReport report)
    {
        var ops = new Dictionary<int, Op>();
        for (int i = 0; i < graph.Nodes.Length; i++)
            if (graph.Nodes[i].Op is Norm norm && !norm.Spec.OutputScale.Equals(1.0))
            {
                ops[i] = norm with { Spec = norm.Spec with { OutputScale = 1, GainOffset = 0 }, Gain = NormReaders.EffectiveGain(norm, norm.Gain?.Width ?? graph.TypeOf(new Value(i)).Width) };
                report.Change(Name, graph, i, $"factor {norm.Spec.OutputScale:G6} moves into the gain");
            }
        return GraphRebuild.WithOps(graph, ops);
    }
}
