using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Fusion;

/// <summary>Joins ops for a backend that can run them as one. Backends call it when they compile; graphs that people see, change and cut are not fused.</summary>
public static class Fuser
{
    /// <summary>The patterns, in the order in which they are applied.</summary>
    public static ImmutableArray<IFusionPattern> Patterns { get; } = [new SharedInput(), new ColumnEpilogue(), new RowStage()];

    /// <summary>The graph with all patterns applied. Hidden states that are not outputs are forgotten, as they may no longer exist.</summary>
    public static Graph Apply(Graph graph, OpSupport supports) => Patterns.Aggregate(graph, (g, pattern) => Apply(g, pattern, supports));

    /// <summary>The graph with one pattern applied.</summary>
    public static Graph Apply(Graph graph, IFusionPattern pattern, OpSupport supports)
    {
        var uses = new Uses(graph);
        var groupOf = new int[graph.Nodes.Length];
        Array.Fill(groupOf, -1);
        var groups = new List<(ImmutableArray<int> Nodes, Node Node, ImmutableArray<Value> Results)>();
        foreach (var nodes in pattern.Find(graph, supports))
        {
            var (node, results) = Join(graph, uses, nodes, pattern.Create);
            if (!supports(node.Op)) continue;
            foreach (int i in nodes) groupOf[i] = groups.Count;
            groups.Add((nodes, node, results));
        }
        if (groups.Count == 0) return graph;

        // Groups and single nodes in topological order: whatever is ready and began first.
        var moved = new Dictionary<Value, Value>();
        var placed = ImmutableArray.CreateBuilder<Node>();
        var waiting = new int[groups.Count]; // inputs of a group that are not placed yet
        for (int g = 0; g < waiting.Length; g++) waiting[g] = groups[g].Node.Inputs.Distinct().Count();
        var single = graph.Nodes.Select(n => n.Inputs.Distinct().Count()).ToArray();
        var ready = new PriorityQueue<int, int>(); // node index, or −1 − group
        for (int i = 0; i < graph.Nodes.Length; i++)
            if (groupOf[i] < 0 && single[i] == 0) ready.Enqueue(i, i);
        for (int g = 0; g < waiting.Length; g++)
            if (waiting[g] == 0) ready.Enqueue(-1 - g, groups[g].Nodes[0]);
        while (ready.TryDequeue(out int item, out _))
        {
            var node = item >= 0 ? graph.Nodes[item] : groups[-1 - item].Node;
            placed.Add(node with { Inputs = [.. node.Inputs.Select(v => moved[v])] });
            var values = item >= 0 ? Enumerable.Range(0, node.Outputs.Length).Select(k => new Value(item, k)) : groups[-1 - item].Results;
            int k = 0;
            foreach (var value in values)
            {
                moved.Add(value, new Value(placed.Count - 1, k++));
                foreach (int user in uses.Of(value).Select(u => groupOf[u] < 0 ? u : -1 - groupOf[u]).Distinct())
                    if (user >= 0 ? --single[user] == 0 : user != item && --waiting[-1 - user] == 0) ready.Enqueue(user, user >= 0 ? user : groups[-1 - user].Nodes[0]);
            }
        }
        if (graph.Outputs.Any(o => !moved.ContainsKey(o.Value))) throw new GraphException($"the groups of {pattern.Name} depend on each other");
        var hidden = graph.HiddenStates.All(moved.ContainsKey) ? graph.HiddenStates.Select(v => moved[v]) : [];
        return Verifier.Verify(new Graph(placed.ToImmutable(), [.. graph.Outputs.Select(o => o with { Value = moved[o.Value] })], [.. hidden], graph.Blocks));
    }

    // One node for a group; parts of fused ops among its nodes become parts of it. Results are the values that other nodes or the graph's outputs read.
    private static (Node Node, ImmutableArray<Value> Results) Join(Graph graph, Uses uses, ImmutableArray<int> nodes, FusedOpFactory create)
    {
        var members = nodes.ToHashSet();
        var inputs = nodes.SelectMany(i => graph.Nodes[i].Inputs).Where(v => !members.Contains(v.Node)).Distinct().ToImmutableArray();
        var numbers = inputs.Select((v, i) => (v, i)).ToDictionary(p => p.v, p => p.i);
        var parts = ImmutableArray.CreateBuilder<FusedPart>();
        int next = inputs.Length;
        foreach (int i in nodes)
        {
            var node = graph.Nodes[i];
            var fused = node.Op as FusedOp ?? FusedRows.Of(node);
            List<int> inner = [.. node.Inputs.Select(v => numbers[v])];
            foreach (var part in fused.Parts)
            {
                parts.Add(part with { Inputs = [.. part.Inputs.Select(v => inner[v])] });
                for (int k = 0; k < part.Outputs; k++) inner.Add(next++);
            }
            for (int k = 0; k < fused.Results.Length; k++) numbers.Add(new Value(i, k), inner[fused.Results[k]]);
        }
        ImmutableArray<Value> results = [.. nodes.SelectMany(i => Enumerable.Range(0, graph.Nodes[i].Outputs.Length).Select(k => new Value(i, k))).Where(v => uses.IsOutput(v) || uses.Of(v).Any(u => !members.Contains(u)))];
        var op = create(inputs.Length, parts.ToImmutable(), [.. results.Select(v => numbers[v])]);
        return (new Node(op, inputs, [.. results.Select(graph.TypeOf)], graph.Nodes[nodes[0]].Block), results);
    }
}
