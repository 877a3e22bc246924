using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Fusion;

/// <summary>What reads nothing but the outputs of a product, column by column, is done tile by tile behind it: activation functions, the gate of a GLU, soft caps, and making integers of the result.</summary>
public sealed class ColumnEpilogue : IFusionPattern
{
    /// <inheritdoc/>
    public string Name => "column epilogue";

    /// <inheritdoc/>
    public string Description => "Activate, GatedActivate, SoftCap, Scale … and QuantizeRows behind Linears: done tile by tile, so that gate and up are never stored";

    /// <inheritdoc/>
    public FusedOpFactory Create => (inputs, parts, results) => new FusedColumns(inputs, parts, results);

    /// <inheritdoc/>
    public IEnumerable<ImmutableArray<int>> Find(Graph graph, OpSupport supports)
    {
        var uses = new Uses(graph);
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            if (graph.Nodes[i].Op is not (Linear { Adapters.IsEmpty: true } or FusedColumns) || graph.Nodes[i].Outputs.Distinct().Count() > 1) continue;
            HashSet<int> group = [i];
            for (var open = new Queue<int>(group); open.TryDequeue(out int from);)
                for (int k = 0; k < graph.Nodes[from].Outputs.Length; k++)
                    foreach (int user in uses.Of(new Value(from, k)))
                        if (Follows(graph.Nodes[user]) && graph.Nodes[user].Inputs.All(v => group.Contains(v.Node)) && group.Add(user)) open.Enqueue(user);
            if (group.Count > 1) yield return [.. group.Order()];
        }
    }

    private static bool Follows(Node node) => node.Op is Activate or GatedActivate or ClampedGlu or Add or Multiply or Scale or SoftCap or QuantizeRows;
}
