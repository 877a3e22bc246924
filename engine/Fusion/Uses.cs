using Tare.Graphs;

namespace Tare.Fusion;

/// <summary>Which nodes read each value of a graph.</summary>
internal sealed class Uses
{
    private readonly Dictionary<Value, List<int>> _users = [];
    private readonly HashSet<Value> _outputs;

    public Uses(Graph graph)
    {
        _outputs = [.. graph.Outputs.Select(o => o.Value)];
        for (int i = 0; i < graph.Nodes.Length; i++)
            foreach (var input in graph.Nodes[i].Inputs.Distinct())
            {
                if (!_users.TryGetValue(input, out var users)) _users.Add(input, users = []);
                users.Add(i);
            }
    }

    /// <summary>Nodes that read a value, ascending.</summary>
    public IReadOnlyList<int> Of(Value value) => _users.TryGetValue(value, out var users) ? users : [];

    /// <summary>Whether the graph returns a value.</summary>
    public bool IsOutput(Value value) => _outputs.Contains(value);
}
