using System.Collections.Immutable;

namespace Tare.Graphs;

/// <summary>Drops the nodes that no output needs. A KvAppend stays only through the Attention that reads it.</summary>
internal static class DeadNodes
{
    public static Graph Remove(Graph graph) => Remove(graph, keepHiddenStates: false);

    /// <summary>Drops the nodes that neither an output nor a hidden state needs.</summary>
    public static Graph RemoveUnlisted(Graph graph) => Remove(graph, keepHiddenStates: true);

    private static Graph Remove(Graph graph, bool keepHiddenStates)
    {
        var live = new bool[graph.Nodes.Length];
        if (keepHiddenStates)
            foreach (var value in graph.HiddenStates) live[value.Node] = true;
        foreach (var output in graph.Outputs) live[output.Value.Node] = true;
        for (int i = graph.Nodes.Length - 1; i >= 0; i--)
            if (live[i])
                foreach (var input in graph.Nodes[i].Inputs) live[input.Node] = true;

        var map = new int[graph.Nodes.Length];
        var nodes = ImmutableArray.CreateBuilder<Node>();
        for (int i = 0; i < map.Length; i++)
        {
            map[i] = live[i] ? nodes.Count : -1;
            if (live[i]) nodes.Add(graph.Nodes[i] with { Inputs = [.. graph.Nodes[i].Inputs.Select(v => v with { Node = map[v.Node] })] });
        }
        var hidden = graph.HiddenStates.All(v => live[v.Node]) ? graph.HiddenStates.Select(v => v with { Node = map[v.Node] }) : [];
        return new Graph(nodes.ToImmutable(), [.. graph.Outputs.Select(o => o with { Value = o.Value with { Node = map[o.Value.Node] } })], [.. hidden], graph.Blocks);
    }
}
