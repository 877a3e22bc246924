using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Rewrites;

/// <summary>
/// Rotations of the residual stream that lie between blocks (Three-Phase Transformer, arXiv 2604.14430) move into the weights: what writes before a rotation writes turned, what is behind stays as it is. Norms
/// over groups that hold whole pairs don't see a rotation; their gains must be folded first. The rotations disappear.
/// </summary>
public sealed class RotationFold : IRewrite
{
    /// <inheritdoc/>
    public string Name => "rotation-fold";

    /// <inheritdoc/>
    public Graph Apply(Graph graph, RewriteReport report)
    {
        // The first rotation first: what comes before it holds no other.
        for (int index; (index = graph.Nodes.IndexOf(graph.Nodes.FirstOrDefault(n => n.Op is RotatePairs)!)) >= 0;)
            graph = Fold(graph, index, ((RotatePairs)graph.Nodes[index].Op).Angles, report);
        return graph;
    }

    // x' = R x: everything that is linked with x before the rotation is turned by R, and the rotation becomes the identity.
    private Graph Fold(Graph graph, int rotation, Weight angles, RewriteReport report)
    {
        var uses = new ValueUses(graph);
        var linked = LinkedValues.From(graph, uses, graph.Nodes[rotation].Inputs[0], new RotationRule(rotation));
        if (linked.Obstacles.Count > 0) throw new RewriteRefusedException(Name, RewriteReport.Label(graph, linked.Obstacles[0].Node), linked.Obstacles[0].Reason);
        var ops = new Dictionary<int, Op>();
        var back = new AffineWeight(angles, -1); // Rᵀ turns by −θ
        var map = new StreamMap((weight, blocks) => new RotateOutputWeight(weight, back, blocks), row => new RotateInputWeight(row, angles, -1));
        foreach (var source in linked.Sources) StreamWriters.Change(graph, uses, source, map, 1, ops);
        foreach (var use in linked.Readers)
            if (use.Node != rotation) ops[use.Node] = NormReaders.Change(ops.GetValueOrDefault(use.Node) ?? graph.Nodes[use.Node].Op, w => new RotateInputWeight(w, angles, -1), null);
        report.Change(Name, graph, rotation, $"turns {linked.Sources.Count} writers and {linked.Readers.Count - 1} readers instead");
        return GraphRebuild.WithOps(graph, ops, new HashSet<int> { rotation });
    }

    private sealed class RotationRule(int rotation) : LinkRule
    {
        public override bool Propagates(Graph graph, int node, int input) => base.Propagates(graph, node, input)
            || graph.Nodes[node].Op is Norm { Gain: null, Bias: null, Spec: { Kind: NormKind.RmsNorm or NormKind.UnitLength or NormKind.Static, Center: false } spec } && graph.TypeOf(new Value(node)).Width / spec.Groups % 2 == 0;

        public override string? RefuseReader(Graph graph, Use use) => graph.Nodes[use.Node].Op switch
        {
            RotatePairs when use.Node == rotation => null,
            Linear or ExpertLinear when NormReaders.Absorbs(graph, use) => null,
            Norm => "has a gain, a bias, a mean or groups that cut pairs, so a rotation before it is visible: fold the gain first",
            var op => $"{op.Name} sees a rotation of what it reads",
        };

        public override string? RefuseSource(Graph graph, ValueUses uses, Value source) => graph.OpOf(source) switch
        {
            Linear or Embed => null,
            Center when StreamWriters.IsCenteredLookup(graph, source.Node) => null,
            CombineExperts => StreamWriters.ExpertsOf(graph, uses, source.Node) is null ? "the experts' outputs are read elsewhere too" : null,
            var op => $"what {op.Name} writes can't be turned through its weights",
        };
    }
}
