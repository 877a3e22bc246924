using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Rewrites;

/// <summary>
/// Copies a graph node by node with changes: an op may be replaced, a node's value may be replaced by another, nodes may be added behind one. All types are inferred anew, so that widths may change; what
/// nothing reads any more is dropped; the result is verified.
/// </summary>
internal sealed class GraphRebuild
{
    private readonly ImmutableArray<Node>.Builder _nodes = ImmutableArray.CreateBuilder<Node>();

    private GraphRebuild() { }

    /// <summary>
    /// Rebuilds. <paramref name="replace"/> gets the index of an old node and its inputs in the new graph, and returns the values that take the place of its outputs – or null to keep the node's op.
    /// </summary>
    public static Graph Run(Graph graph, Func<GraphRebuild, int, ImmutableArray<Value>, ImmutableArray<Value>?> replace)
    {
        var rebuild = new GraphRebuild();
        var moved = new Dictionary<Value, Value>();
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            ImmutableArray<Value> inputs = [.. graph.Nodes[i].Inputs.Select(v => moved[v])];
            var values = replace(rebuild, i, inputs) ?? rebuild.Append(graph.Nodes[i].Op, graph.Nodes[i].Block, inputs);
            for (int k = 0; k < values.Length; k++) moved.Add(new Value(i, k), values[k]);
        }
        return Verifier.Verify(DeadNodes.RemoveUnlisted(new Graph(rebuild._nodes.ToImmutable(), [.. graph.Outputs.Select(o => o with { Value = moved[o.Value] })], [.. graph.HiddenStates.Select(v => moved[v])], graph.Blocks)));
    }

    /// <summary>The graph with other ops in place of some; edges stay. A norm or a Center behind a look-up that becomes a look-up itself reads what that one reads.</summary>
    public static Graph WithOps(Graph graph, IReadOnlyDictionary<int, Op> ops, IReadOnlySet<int>? gone = null) => Run(graph, (rebuild, i, inputs) =>
    {
        if (gone is not null && gone.Contains(i)) return [inputs[0]];
        if (!ops.TryGetValue(i, out var op)) return null;
        return rebuild.Append(op, graph.Nodes[i].Block, op is Embed && graph.Nodes[i].Op is not Embed ? rebuild.InputsOf(inputs[0]) : inputs);
    });

    /// <summary>An input of the step: the node that is there already, else a new one.</summary>
    public Value Input(InputKind kind)
    {
        var input = new Input(kind);
        for (int i = 0; i < _nodes.Count; i++)
            if (_nodes[i].Op.Equals(input)) return new Value(i);
        return Append(input, -1, [])[0];
    }

    /// <summary>The inputs of the node that makes a value of the new graph.</summary>
    public ImmutableArray<Value> InputsOf(Value value) => _nodes[value.Node].Inputs;

    /// <summary>Adds a node; returns its outputs.</summary>
    public ImmutableArray<Value> Append(Op op, int block, ImmutableArray<Value> inputs)
    {
        ValueInfo[] types = [.. inputs.Select(v => _nodes[v.Node].Outputs[v.Output])];
        _nodes.Add(new Node(op, inputs, op.Infer(types), block));
        int node = _nodes.Count - 1;
        return [.. Enumerable.Range(0, _nodes[node].Outputs.Length).Select(k => new Value(node, k))];
    }
}
