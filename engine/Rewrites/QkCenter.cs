using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Rewrites;

/// <summary>
/// Per-head LayerNorm of queries and keys → RMSNorm: the rows of W_q and W_k (and their biases) lose their mean head by head. Norms that can't go (behind a rotation, say) are left with the reason.
/// </summary>
public sealed class QkCenter : IRewrite
{
    /// <inheritdoc/>
    public string Name => "qk-center";

    /// <inheritdoc/>
    public Graph Apply(Graph graph, RewriteReport report)
    {
        for (int done = 0, index; (index = Find(graph, done)) >= 0;)
        {
            int groups = ((Norm)graph.Nodes[index].Op).Spec.Groups;
            var uses = new ValueUses(graph);
            var linked = LinkedValues.From(graph, uses, graph.Nodes[index].Inputs[0], new CenterRule(groups));
            if (linked.Obstacles.Count == 0) graph = StreamCentering.Apply(graph, uses, linked, groups, untie: false, Name, report);
            else
            {
                report.Leave(Name, graph, index, $"{RewriteReport.Label(graph, linked.Obstacles[0].Node)}: {linked.Obstacles[0].Reason}");
                done = index + 1;
            }
        }
        return graph;
    }

    private static int Find(Graph graph, int from)
    {
        for (int i = from; i < graph.Nodes.Length; i++)
            if (graph.Nodes[i].Op is Norm { Spec: { SubtractsMean: true, Groups: > 1 } }) return i;
        return -1;
    }
}
