using Tare.Graphs;

namespace Tare.Rewrites;

/// <summary>Input <paramref name="Input"/> of node <paramref name="Node"/> reads a value.</summary>
internal readonly record struct Use(int Node, int Input);

/// <summary>Who reads each value of a graph.</summary>
internal sealed class ValueUses
{
    private readonly Dictionary<Value, List<Use>> _uses = [];
    private readonly HashSet<Value> _outputs;

    public ValueUses(Graph graph)
    {
        for (int i = 0; i < graph.Nodes.Length; i++)
            for (int k = 0; k < graph.Nodes[i].Inputs.Length; k++)
            {
                var value = graph.Nodes[i].Inputs[k];
                if (!_uses.TryGetValue(value, out var list)) _uses.Add(value, list = []);
                list.Add(new Use(i, k));
            }
        _outputs = [.. graph.Outputs.Select(o => o.Value)];
    }

    public IReadOnlyList<Use> Of(Value value) => _uses.TryGetValue(value, out var list) ? list : [];

    public bool IsOutput(Value value) => _outputs.Contains(value);
}
