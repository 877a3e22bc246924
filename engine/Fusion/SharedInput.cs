using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Fusion;

/// <summary>
/// Linears that read one value become one op: queries, keys and values; gate and up. Linears behind which something works column by column stay apart from the others, so that a parallel block's gate and up
/// keep their epilogue.
/// </summary>
public sealed class SharedInput : IFusionPattern
{
    /// <inheritdoc/>
    public string Name => "shared input";

    /// <inheritdoc/>
    public string Description => "Linears that read one value (q, k, v; gate, up): the value is read once, threads share all outputs";

    /// <inheritdoc/>
    public FusedOpFactory Create => (inputs, parts, results) => new FusedColumns(inputs, parts, results);

    /// <inheritdoc/>
    public IEnumerable<ImmutableArray<int>> Find(Graph graph, OpSupport supports)
    {
        var uses = new Uses(graph);
        return Enumerable.Range(0, graph.Nodes.Length).Where(i => graph.Nodes[i].Op is Linear { Adapters.IsEmpty: true })
            .GroupBy(i => (graph.Nodes[i].Inputs[0], graph.Nodes[i].Block, uses.Of(new Value(i)).Any(u => graph.Nodes[u].Op is Activate or GatedActivate or ClampedGlu)))
            .Select(g => g.ToImmutableArray()).Where(g => g.Length > 1);
    }
}
