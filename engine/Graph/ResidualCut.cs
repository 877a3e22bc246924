using System.Collections.Immutable;
using Tare.Graphs.Ops;

namespace Tare.Graphs;

/// <summary>
/// Cuts a model where block k begins: the front computes the residual stream (output <c>residual</c>), the back starts from an Input of it. Two programs, the bits of one.
/// </summary>
public static class ResidualCut
{
    /// <summary>Name of the front's output: [Rows, width].</summary>
    public const string Output = "residual";

    /// <summary>Cuts before block <paramref name="block"/>. Refuses when anything else crosses the cut.</summary>
    public static (Graph Front, Graph Back) At(Graph graph, int block)
    {
        if (graph.HiddenStates.IsEmpty || block < 0 || block >= graph.Blocks) throw new GraphException($"no block {block} to cut at (the graph has {graph.Blocks})");
        var stream = graph.HiddenStates[block];
        var front = graph.WithOutputs([new GraphOutput(Output, stream)]);

        var nodes = ImmutableArray.CreateBuilder<Node>();
        var input = new Input(InputKind.Residual, graph.TypeOf(stream).Width);
        nodes.Add(new Node(input, [], input.Infer([]), -1));
        var map = new Dictionary<int, int> { [stream.Node] = 0 };
        var needed = Needed(graph, stream.Node);
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            if (!needed[i] || i == stream.Node) continue;
            var node = graph.Nodes[i];
            if (node.Op is KvAppend && node.Block < block) throw new GraphException($"%{i} of block {node.Block} is read behind the cut before block {block}");
            map[i] = nodes.Count;
            nodes.Add(node with { Inputs = [.. node.Inputs.Select(v => v with { Node = map[v.Node] })] });
        }
        var back = new Graph(nodes.ToImmutable(), [.. graph.Outputs.Select(o => o with { Value = o.Value with { Node = map[o.Value.Node] } })], [], graph.Blocks);
        return (Verifier.Verify(front), Verifier.Verify(back));
    }

    // What the outputs need when the stream is given.
    private static bool[] Needed(Graph graph, int given)
    {
        var needed = new bool[graph.Nodes.Length];
        foreach (var output in graph.Outputs) needed[output.Value.Node] = true;
        for (int i = needed.Length - 1; i >= 0; i--)
            if (needed[i] && i != given)
                foreach (var value in graph.Nodes[i].Inputs) needed[value.Node] = true;
        return needed;
    }
}
