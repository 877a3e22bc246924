using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Rewrites;

/// <summary>Chooses the element types of all caches of a graph.</summary>
public static class CacheTypes
{
    /// <summary>The graph with these types of cached keys and values; null leaves them. Without caches it is the same graph.</summary>
    public static Graph Apply(Graph graph, KvType? keys, KvType? values)
    {
        if (keys is null && values is null) return graph;
        var nodes = graph.Nodes.ToBuilder();
        for (int i = 0; i < nodes.Count; i++)
            if (nodes[i].Op is KvAppend append) nodes[i] = nodes[i] with { Op = append with { KeyType = keys ?? append.KeyType, ValueType = values ?? append.ValueType } };
        return Verifier.Verify(new Graph(nodes.ToImmutable(), graph.Outputs, graph.HiddenStates, graph.Blocks));
    }
}
