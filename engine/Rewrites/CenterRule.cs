using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Rewrites;

/// <summary>
/// May the values lose their means, in <paramref name="groups"/> groups of a row? Every writer must be a product, a table or a mixture of experts, whose weights can be centered; every reader must be blind to a
/// shift: a LayerNorm over the same groups, a centered static norm, or a Center.
/// </summary>
internal sealed class CenterRule(int groups) : LinkRule
{
    public override string? RefuseReader(Graph graph, Use use) => graph.Nodes[use.Node].Op switch
    {
        Norm norm when norm.Spec.SubtractsMean && norm.Spec.Groups == groups => null,
        Norm norm when norm.Spec.SubtractsMean => $"normalizes {norm.Spec.Groups} groups of a row, so it sees a shift of {(groups == 1 ? "the whole row" : $"{groups} groups")}",
        Norm norm => $"{norm.Spec.Kind} sees the mean of what it reads",
        Center when groups == 1 => null,
        Linear or ExpertLinear => "reads the stream without a norm, so its mean is visible",
        var op => $"{op.Name} sees the mean of what it reads",
    };

    public override string? RefuseSource(Graph graph, ValueUses uses, Value source)
    {
        var node = graph.Nodes[source.Node];
        switch (node.Op)
        {
            case Linear or Embed:
                return null;
            case Center when groups == 1:
                return null;
            case Split when graph.OpOf(node.Inputs[0]) is Linear:
                return null;
            case CombineExperts when groups == 1:
                return StreamWriters.ExpertsOf(graph, uses, source.Node) is null ? "the experts' outputs are read elsewhere too, or don't come from an ExpertLinear" : null;
            case Norm norm when groups == 1 && StreamWriters.IsEmbeddingNorm(graph, source.Node):
                return norm.Spec.Kind is NormKind.LayerNorm or NormKind.RmsNorm ? null : $"{norm.Spec.Kind} of a table is not supported";
            case Norm:
                return "the stream is itself the output of a norm with its gain and bias, so its mean depends on the data";
            case Input:
                return "the stream comes from another program";
            default:
                return $"what {node.Op.Name} writes can't be centered through its weights";
        }
    }
}
