using System.Collections.Immutable;
using Tare.Fusion;
using Tare.Graphs.Ops;

namespace Tare.Graphs;

/// <summary>
/// Checks a graph from scratch, in deliberately simple code: every input comes from an earlier node, every node's types are what its op infers, one cache a layer, written once and read
/// by attention alone, outputs named once and readable, hidden states whole. A fused graph is checked as it is, then as its parts. Runs after every pass.
/// </summary>
public static class Verifier
{
    /// <summary>Throws <see cref="GraphException"/> naming the node at fault.</summary>
    public static Graph Verify(Graph graph)
    {
        if (graph.Nodes.Any(n => n.Op is FusedOp))
        {
            CheckTypes(graph);
            Check(Unfused.Of(graph));
        }
        else Check(graph);
        return graph;
    }

    private static void Check(Graph graph)
    {
        CheckTypes(graph);
        var layers = new HashSet<int>();
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            var node = graph.Nodes[i];
            var inputs = node.Inputs.Select(graph.TypeOf).ToArray();
            if (inputs.Any(t => t.Element == ElementType.KvCache) && node.Op is not Attention) Fail(i, node, "reads a cache, which only Attention does");
            if (node.Block < -1 || node.Block >= graph.Blocks) Fail(i, node, $"block {node.Block} of {graph.Blocks}");
            if (node.Op is not Linear { Adapters.IsEmpty: true } && node.Inputs.Any(v => graph.OpOf(v) is QuantizeRows)) Fail(i, node, "reads integers of QuantizeRows, which only a Linear without adapters may");
            foreach (var value in node.Inputs)
                if (graph.OpOf(value).IsObservation) Fail(i, node, $"reads {value} of {graph.OpOf(value).Name}, which only outputs of the graph may");
            if (node.Op is KvAppend append && !layers.Add(append.Layer)) Fail(i, node, $"cache {append.Layer} is written twice");
            if (node.Op is Attention attention && inputs.Length == 2) CheckCache(graph, i, node, attention);
        }

        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var output in graph.Outputs)
        {
            CheckValue(graph, output.Value, $"output '{output.Name}'");
            if (string.IsNullOrEmpty(output.Name) || !names.Add(output.Name)) throw new GraphException($"output '{output.Name}' is named twice or not at all");
            if (graph.TypeOf(output.Value).Element == ElementType.KvCache) throw new GraphException($"output '{output.Name}' is a cache");
        }
        if (graph.Outputs.IsEmpty) throw new GraphException("the graph has no output");
        if (!graph.HiddenStates.IsEmpty && graph.HiddenStates.Length != graph.Blocks + 1) throw new GraphException($"{graph.HiddenStates.Length} hidden states for {graph.Blocks} blocks");
        foreach (var value in graph.HiddenStates)
        {
            CheckValue(graph, value, "hidden state");
            if (graph.TypeOf(value) is not { Rows: RowAxis.Rows, Element: ElementType.F32 }) throw new GraphException($"hidden state {value} is {graph.TypeOf(value)}");
            if (graph.OpOf(value) is not (Add or Norm or Embed or Linear or Scale or Input or Multiply or Center or DepthAttention or Edit)) throw new GraphException($"hidden state {value} is produced by {graph.OpOf(value).Name}, which no residual stream is");
        }
    }

    // Inputs come from earlier nodes and have the types that the ops infer.
    private static void CheckTypes(Graph graph)
    {
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            var node = graph.Nodes[i];
            var inputs = new ValueInfo[node.Inputs.Length];
            for (int k = 0; k < inputs.Length; k++)
            {
                var value = node.Inputs[k];
                if (value.Node < 0 || value.Node >= i) Fail(i, node, $"input {k} is {value}, which is not an earlier node");
                if (value.Output < 0 || value.Output >= graph.Nodes[value.Node].Outputs.Length) Fail(i, node, $"input {k} is {value}, but that node has {graph.Nodes[value.Node].Outputs.Length} outputs");
                inputs[k] = graph.TypeOf(value);
            }

            ImmutableArray<ValueInfo> types;
            try
            {
                types = node.Op.Infer(inputs);
            }
            catch (GraphException e)
            {
                throw new GraphException($"%{i} {e.Message}");
            }
            if (!types.SequenceEqual(node.Outputs)) Fail(i, node, $"has types {string.Join(", ", node.Outputs)}, its op gives {string.Join(", ", types)}");
            if (types.Any(t => t.Width <= 0)) Fail(i, node, "has an empty output");
        }
    }

    private static void CheckCache(Graph graph, int index, Node node, Attention attention)
    {
        if (graph.OpOf(node.Inputs[1]) is not KvAppend append) { Fail(index, node, "input 1 is not the cache version of a KvAppend"); return; }
        var spec = attention.Spec;
        int values = spec.ValueFromKey ? 0 : spec.KvHeads * spec.ValueWidth;
        if (append.KeyWidth != spec.KvHeads * spec.KeyWidth || append.ValueWidth != values) Fail(index, node, $"the cache holds {append.KeyWidth}+{append.ValueWidth}, attention reads {spec.KvHeads * spec.KeyWidth}+{values}");
        if (append.Window is int kept && (spec.Window is not int seen || seen > kept)) Fail(index, node, $"the cache keeps {kept} positions, attention sees {spec.Window?.ToString() ?? "all"}");
    }

    private static void CheckValue(Graph graph, Value value, string role)
    {
        if (value.Node < 0 || value.Node >= graph.Nodes.Length || value.Output < 0 || value.Output >= graph.Nodes[value.Node].Outputs.Length) throw new GraphException($"{role} is {value}, which does not exist");
    }

    private static void Fail(int index, Node node, string message) => throw new GraphException($"%{index} {node.Op.Name}: {message}");
}
