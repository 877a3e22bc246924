using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Rewrites;

/// <summary>
/// A norm whose ε outweighs any variance (LN-free checkpoints have 10¹²) divides by √ε whatever the row: its gain becomes gain/√ε, and what is left is (x − mean) g + b. The gain stays F32 or wider: half
/// precision can hold neither ε nor the gains of such files.
/// </summary>
public sealed class HugeEpsilonToStatic : IRewrite
{
    /// <inheritdoc/>
    public string Name => "huge-epsilon-to-static";

    /// <inheritdoc/>
    public Graph Apply(Graph graph, RewriteReport report)
    {
        var ops = new Dictionary<int, Op>();
        for (int i = 0; i < graph.Nodes.Length; i++)
            if (graph.Nodes[i].Op is Norm { Spec: { Kind: NormKind.Static, Epsilon: >= NormSpec.StaticEpsilon } spec } norm)
            {
                int width = graph.TypeOf(new Value(i)).Width;
                ops[i] = norm with { Spec = spec with { Epsilon = 1, GainOffset = 0, OutputScale = 1 }, Gain = NormReaders.EffectiveGain(norm, norm.Gain?.Width ?? width, 1 / Math.Sqrt(spec.Epsilon)) };
                report.Change(Name, graph, i, $"ε = {spec.Epsilon:G} moves into the gain");
            }
        return GraphRebuild.WithOps(graph, ops);
    }
}
