using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Rewrites;

/// <summary>May the values be stored in d − 1 coordinates? Everything that writes must be zero-mean; bare RMSNorms carry the coordinates on; all other readers must be products.</summary>
internal sealed class CompressionRule : LinkRule
{
    public override bool Propagates(Graph graph, int node, int input) => base.Propagates(graph, node, input)
        || graph.Nodes[node].Op is Norm { Gain: null, Bias: null, Spec: { Kind: NormKind.RmsNorm or NormKind.Static, Center: false, Groups: 1, GainOffset: 0 } spec } && spec.OutputScale.Equals(1.0);

    public override string? RefuseReader(Graph graph, Use use) => graph.Nodes[use.Node].Op switch
    {
        Linear => null,
        ExpertLinear when NormReaders.Absorbs(graph, use) => null,
        Norm { Spec.SubtractsMean: true } => "subtracts a mean: center the stream first",
        Norm => "has a gain, a bias or groups, which refer to the coordinates that are there now",
        var op => $"{op.Name} reads the coordinates that are there now",
    };

    public override string? RefuseSource(Graph graph, ValueUses uses, Value source)
    {
        if (graph.OpOf(source) is Center && !StreamWriters.IsCenteredLookup(graph, source.Node)) return "is a Center of something else than a look-up";
        return ZeroMean.Refuse(graph, uses, source);
    }
}

/// <summary>Puts a zero-mean residual stream into d − 1 coordinates.</summary>
/// <param name="Kind">The norm that computes in them.</param>
/// <param name="Matrix">What a centered writer becomes.</param>
/// <param name="Row">What centered rows become.</param>
/// <param name="Reader">What a reader becomes.</param>
internal sealed record CompressedBasis(NormKind Kind, Func<Weight, int, Weight> Matrix, Func<Weight, Weight> Row, Func<Weight, Weight> Reader)
{
    /// <summary>The values to be compressed: the residual stream and what its norms make of it. Throws where that can't be done.</summary>
    public static LinkedValues Stream(Graph graph, ValueUses uses, string pass)
    {
        if (graph.HiddenStates.IsEmpty) throw new RewriteRefusedException(pass, "", "the graph has no residual stream (it was cut)");
        var linked = LinkedValues.From(graph, uses, graph.HiddenStates[0], new CompressionRule());
        if (linked.Obstacles.Count > 0) throw new RewriteRefusedException(pass, RewriteReport.Label(graph, linked.Obstacles[0].Node), linked.Obstacles[0].Reason);
        if (!linked.Values.Any(v => graph.OpOf(v) is Norm { Spec.Kind: NormKind.RmsNorm })) throw new RewriteRefusedException(pass, "", "no RMSNorm reads the stream");
        return linked;
    }

    public Graph Apply(Graph graph, ValueUses uses, LinkedValues linked, string pass, RewriteReport report)
    {
        var ops = new Dictionary<int, Op>();
        var map = new StreamMap((weight, blocks) => Matrix(ZeroMean.Centered(weight, blocks), blocks), row => Row(ZeroMean.CenteredRows(row)));
        int width = graph.TypeOf(graph.HiddenStates[0]).Width;
        foreach (var source in linked.Sources)
        {
            StreamWriters.Change(graph, uses, source, map, 1, ops);
            report.Change(pass, graph, source.Node, "writes one coordinate less");
        }
        foreach (var value in linked.Values)
            if (graph.OpOf(value) is Norm { Spec.Kind: NormKind.RmsNorm } norm)
            {
                ops[value.Node] = norm with { Spec = norm.Spec with { Kind = Kind, FullWidth = width } };
                report.Change(pass, graph, value.Node, $"becomes {Kind}");
            }
        foreach (var use in linked.Readers)
        {
            var op = ops.GetValueOrDefault(use.Node) ?? graph.Nodes[use.Node].Op;
            ops[use.Node] = NormReaders.Change(op is Linear { Adapters.IsEmpty: false } linear ? linear with { Adapters = [.. linear.Adapters.Select(a => a is null ? null : a with { A = Reader(a.A) })] } : op, Reader, null);
            report.Change(pass, graph, use.Node, "reads one coordinate less");
        }
        return GraphRebuild.WithOps(graph, ops);
    }
}
