using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Rewrites;

/// <summary>What a pass did to a node, or why it left it alone.</summary>
/// <param name="Pass">Name of the pass.</param>
/// <param name="Node">The node, as <see cref="RewriteReport.Label"/> writes it.</param>
/// <param name="What">What was done, or the reason.</param>
public sealed record RewriteNote(string Pass, string Node, string What);

/// <summary>What a chain of passes did.</summary>
public sealed class RewriteReport
{
    private readonly List<RewriteNote> _changes = [], _left = [];

    /// <summary>Where the residual stream is now, seen from the graph that the chain began with.</summary>
    public StreamCoordinates Coordinates { get; } = new();

    /// <summary>Changed nodes, in the order of the passes.</summary>
    public IReadOnlyList<RewriteNote> Changes => _changes;

    /// <summary>Nodes that a pass could have changed and did not.</summary>
    public IReadOnlyList<RewriteNote> Left => _left;

    /// <summary>A node for people: number, op, the weight that names it, its block.</summary>
    public static string Label(Graph graph, int node)
    {
        var n = graph.Nodes[node];
        string? weight = n.Op switch
        {
            Norm { Gain: { } gain } => gain.ToString(),
            Norm => null,
            _ => n.Op.Weights.FirstOrDefault()?.ToString(),
        };
        string kind = n.Op is Norm norm ? norm.Spec.Kind.ToString() : n.Op.Name;
        return $"%{node} {kind}{(weight is null ? "" : $" {weight}")}{(n.Block < 0 ? "" : $" (block {n.Block})")}";
    }

    internal void Change(string pass, Graph graph, int node, string what) => _changes.Add(new RewriteNote(pass, Label(graph, node), what));

    internal void Leave(string pass, Graph graph, int node, string why) => _left.Add(new RewriteNote(pass, Label(graph, node), why));
}

/// <summary>A rewrite would change what the model computes.</summary>
public sealed class RewriteRefusedException(string pass, string node, string reason) : Exception(node.Length == 0 ? $"{pass}: {reason}" : $"{pass}: {node}: {reason}")
{
    /// <summary>The pass that refused.</summary>
    public string Pass => pass;

    /// <summary>The node at fault; empty where there is none.</summary>
    public string Node => node;

    /// <summary>Why.</summary>
    public string Reason => reason;
}
