using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Fusion;

/// <summary>The reverse of fusion: every fused op as its parts.</summary>
public static class Unfused
{
    /// <summary>The same computation without fused ops.</summary>
    public static Graph Of(Graph graph)
    {
        var nodes = ImmutableArray.CreateBuilder<Node>();
        var moved = new Dictionary<Value, Value>();
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            var node = graph.Nodes[i];
            var fused = node.Op as FusedOp ?? FusedRows.Of(node);
            var types = fused.TypesOf([.. node.Inputs.Select(graph.TypeOf)]);
            List<Value> values = [.. node.Inputs.Select(v => moved[v])];
            foreach (var part in fused.Parts)
            {
                nodes.Add(new Node(part.Op, [.. part.Inputs.Select(v => values[v])], [.. types.AsSpan(values.Count, part.Outputs)], node.Block));
                for (int k = 0; k < part.Outputs; k++) values.Add(new Value(nodes.Count - 1, k));
            }
            for (int k = 0; k < fused.Results.Length; k++) moved.Add(new Value(i, k), values[fused.Results[k]]);
        }
        return new Graph(nodes.ToImmutable(), [.. graph.Outputs.Select(o => o with { Value = moved[o.Value] })], [.. graph.HiddenStates.Select(v => moved[v])], graph.Blocks);
    }
}
