using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Fusion;

/// <summary>
/// All row-local ops between two products (or attentions) become one op, which takes a few rows through all of them: residual Add + Norm + QuantizeRows, norms of heads + Rope + KvAppend, sandwich norms, routers.
/// A stage is what has the same number of products before it on its longest path, so no path leaves it and comes back.
/// </summary>
public sealed class RowStage : IFusionPattern
{
    /// <inheritdoc/>
    public string Name => "row stage";

    /// <inheritdoc/>
    public string Description => "Row-local ops between products (Add + Norm + QuantizeRows; head norms + Rope of q and k + KvAppend; Scale, Split, Router …): one pass, a few rows at a time";

    /// <inheritdoc/>
    public FusedOpFactory Create => (inputs, parts, results) => new FusedRows(inputs, parts, results);

    /// <inheritdoc/>
    public IEnumerable<ImmutableArray<int>> Find(Graph graph, OpSupport supports)
    {
        // Even levels are stages, odd ones what lies between them.
        var (levels, local) = (new int[graph.Nodes.Length], new bool[graph.Nodes.Length]);
        for (int i = 0; i < levels.Length; i++)
        {
            var node = graph.Nodes[i];
            local[i] = node.Op is not FusedOp && supports(FusedRows.Of(node));
            levels[i] = local[i] ? 0 : 1;
            foreach (var input in node.Inputs)
            {
                bool otherAxis = graph.TypeOf(input).Rows != node.Outputs[0].Rows;
                int step = !local[input.Node] ? (local[i] ? 1 : 2) : !local[i] ? 1 : otherAxis ? 2 : 0;
                levels[i] = Math.Max(levels[i], levels[input.Node] + step);
            }
        }
        return Enumerable.Range(0, levels.Length).Where(i => local[i]).GroupBy(i => (levels[i], graph.Nodes[i].Outputs[0].Rows)).Select(g => g.ToImmutableArray()).Where(g => g.Length > 1);
    }
}
