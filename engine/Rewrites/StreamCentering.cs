using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Rewrites;

/// <summary>Centers everything that writes a set of linked values, and takes the mean out of the norms that read it.</summary>
internal static class StreamCentering
{
    /// <summary>
    /// Applies the change to the values around a norm's input. A token table that the head shares keeps its values and is centered row by row where it is looked up – unless <paramref name="untie"/> asks
    /// for a table of its own.
    /// </summary>
    public static Graph Apply(Graph graph, ValueUses uses, LinkedValues linked, int groups, bool untie, string pass, RewriteReport report)
    {
        var ops = new Dictionary<int, Op>();
        var centered = new HashSet<int>(); // look-ups that a Center follows
        foreach (var source in linked.Sources)
        {
            if (graph.OpOf(source) is Center) continue;
            if (!untie && graph.OpOf(source) is Embed embed && IsShared(graph, source.Node, embed.Table)) centered.Add(source.Node);
            else StreamWriters.Change(graph, uses, source, Map(graph.TypeOf(source).Width, groups), groups, ops);
            report.Change(pass, graph, source.Node, centered.Contains(source.Node) ? "rows are centered where they are looked up, because the head reads the table too" : "output loses its mean");
        }
        var dropped = new HashSet<int>(); // Center nodes whose input has no mean any more
        foreach (var use in linked.Readers)
            switch (graph.Nodes[use.Node].Op)
            {
                case Norm norm:
                    ops[use.Node] = norm with { Spec = WithoutMean(norm.Spec) };
                    report.Change(pass, graph, use.Node, $"becomes {WithoutMean(norm.Spec).Kind}");
                    break;
                case Center:
                    dropped.Add(use.Node);
                    report.Change(pass, graph, use.Node, "disappears");
                    break;
            }
        return GraphRebuild.Run(graph, (rebuild, i, inputs) =>
        {
            if (dropped.Contains(i)) return [inputs[0]];
            // A norm behind a look-up has become a look-up: it reads what that one reads.
            if (ops.TryGetValue(i, out var op)) return rebuild.Append(op, graph.Nodes[i].Block, graph.Nodes[i].Op is Norm && op is Embed ? rebuild.InputsOf(inputs[0]) : inputs);
            return centered.Contains(i) ? rebuild.Append(new Center(), graph.Nodes[i].Block, rebuild.Append(graph.Nodes[i].Op, graph.Nodes[i].Block, inputs)) : null;
        });
    }

    /// <summary>LayerNorm as RMSNorm, a centered static norm as a plain one.</summary>
    public static NormSpec WithoutMean(NormSpec spec) => spec.Kind == NormKind.LayerNorm ? spec with { Kind = NormKind.RmsNorm } : spec with { Center = false };

    private static StreamMap Map(int width, int groups)
    {
        var map = new RankOneMap(RankOneKind.Center, width / groups);
        return new StreamMap((weight, blocks) => new MapOutputWeight(weight, map with { Width = checked((int)(weight.Rows / blocks)) }, blocks), row => new MapInputWeight(row, map, row.Width / map.Width));
    }

    private static bool IsShared(Graph graph, int lookup, Weight table)
    {
        for (int i = 0; i < graph.Nodes.Length; i++)
            if (i != lookup && graph.Nodes[i].Op.Weights.Contains(table)) return true;
        return false;
    }
}
