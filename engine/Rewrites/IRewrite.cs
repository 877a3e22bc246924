using Tare.Graphs;

namespace Tare.Rewrites;

/// <summary>A pass: a graph in, another graph with the same outputs out.</summary>
public interface IRewrite
{
    /// <summary>The name in reports.</summary>
    string Name { get; }

    /// <summary>Rewrites, saying in the report what changed and what was left alone. Throws <see cref="RewriteRefusedException"/> where the result would not be the same model.</summary>
    Graph Apply(Graph graph, RewriteReport report);
}
