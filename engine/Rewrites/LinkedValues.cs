using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Rewrites;

/// <summary>Why a set of values can't change its coordinates: the node and the reason.</summary>
internal readonly record struct Obstacle(int Node, string Reason);

/// <summary>What a change of coordinates may cross, and who may read its values.</summary>
internal abstract class LinkRule
{
    /// <summary>Whether the outputs of a node are in the same coordinates as the given input: sums, scalings, selections of rows.</summary>
    public virtual bool Propagates(Graph graph, int node, int input) => graph.Nodes[node].Op switch
    {
        Add or Scale or SelectRows => true,
        Multiply => input == 0 && graph.TypeOf(graph.Nodes[node].Inputs[1]).Width == 1 && graph.TypeOf(graph.Nodes[node].Inputs[0]).Width > 1,
        _ => false,
    };

    /// <summary>Why a node must not read the values in other coordinates, or null where it may.</summary>
    public abstract string? RefuseReader(Graph graph, Use use);

    /// <summary>Why a value can't be written in other coordinates, or null where it can.</summary>
    public abstract string? RefuseSource(Graph graph, ValueUses uses, Value source);
}

/// <summary>
/// Values that must change their coordinates together: from one value on, everything that adds up to it and everything that it adds up to. A residual stream is one such set. Its <see cref="Sources"/> are what
/// writes it from outside, its <see cref="Readers"/> what reads it without carrying it on.
/// </summary>
internal sealed class LinkedValues
{
    private LinkedValues() { }

    public HashSet<Value> Values { get; } = [];

    /// <summary>Members that no other member adds up to: outputs of products, look-ups, mixtures of experts.</summary>
    public List<Value> Sources { get; } = [];

    public List<Use> Readers { get; } = [];

    /// <summary>Everything that stands against the change, sources first.</summary>
    public List<Obstacle> Obstacles { get; } = [];

    public static LinkedValues From(Graph graph, ValueUses uses, Value seed, LinkRule rule)
    {
        var linked = new LinkedValues();
        var waiting = new Stack<Value>([seed]);
        var obstacles = new List<Obstacle>();
        while (waiting.TryPop(out var value))
        {
            if (!linked.Values.Add(value)) continue;
            if (uses.IsOutput(value)) obstacles.Add(new(value.Node, "it is an output of the graph"));
            var node = graph.Nodes[value.Node];
            bool carried = false;
            for (int k = 0; k < node.Inputs.Length; k++)
                if (rule.Propagates(graph, value.Node, k))
                {
                    carried = true;
                    waiting.Push(node.Inputs[k]);
                }
            if (!carried) linked.Sources.Add(value);
            foreach (var use in uses.Of(value))
                if (rule.Propagates(graph, use.Node, use.Input)) waiting.Push(new Value(use.Node));
                else linked.Readers.Add(use);
        }
        linked.Sources.Sort((a, b) => (a.Node, a.Output).CompareTo((b.Node, b.Output)));
        linked.Readers.Sort((a, b) => (a.Node, a.Input).CompareTo((b.Node, b.Input)));
        foreach (var source in linked.Sources)
            if (rule.RefuseSource(graph, uses, source) is string reason) linked.Obstacles.Add(new(source.Node, reason));
        foreach (var use in linked.Readers)
            if (rule.RefuseReader(graph, use) is string reason) linked.Obstacles.Add(new(use.Node, reason));
        linked.Obstacles.AddRange(obstacles);
        return linked;
    }
}
