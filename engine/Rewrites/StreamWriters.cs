using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Rewrites;

/// <summary>A change of coordinates as it acts on weights.</summary>
/// <param name="Matrix">A matrix that writes: gets the stacked matrices and their number (experts, or groups of a row).</param>
/// <param name="Row">Rows of a table, biases.</param>
internal sealed record StreamMap(Func<Weight, int, Weight> Matrix, Func<Weight, Weight> Row);

/// <summary>Rewrites the weights of what writes a residual stream.</summary>
internal static class StreamWriters
{
    /// <summary>A norm right behind a look-up by token: a function of the token alone, so it can become another table.</summary>
    public static bool IsEmbeddingNorm(Graph graph, int node) => graph.Nodes[node].Op is Norm { Spec.Groups: 1 } && graph.OpOf(graph.Nodes[node].Inputs[0]) is Embed;

    /// <summary>A Center right behind a look-up.</summary>
    public static bool IsCenteredLookup(Graph graph, int node) => graph.Nodes[node].Op is Center && graph.OpOf(graph.Nodes[node].Inputs[0]) is Embed;

    /// <summary>The ExpertLinear whose outputs a CombineExperts alone reads, or null.</summary>
    public static int? ExpertsOf(Graph graph, ValueUses uses, int combine)
    {
        var experts = graph.Nodes[combine].Inputs[0];
        return graph.OpOf(experts) is ExpertLinear && uses.Of(experts).Count == 1 && !uses.IsOutput(experts) ? experts.Node : null;
    }

    /// <summary>Puts the changed ops of a source into <paramref name="ops"/>. <paramref name="groups"/> is the number of groups of a row that change apart.</summary>
    public static void Change(Graph graph, ValueUses uses, Value source, StreamMap map, int groups, Dictionary<int, Op> ops)
    {
        var node = graph.Nodes[source.Node];
        switch (node.Op)
        {
            case Linear linear:
                ops[source.Node] = linear with
                {
                    Weight = map.Matrix(linear.Weight, groups),
                    Bias = linear.Bias is null ? null : map.Row(linear.Bias),
                    Adapters = [.. linear.Adapters.Select(a => a is null ? null : a with { B = map.Matrix(a.B, groups) })],
                };
                break;
            case Embed embed:
                ops[source.Node] = embed with { Table = map.Row(embed.Table) };
                break;
            case Norm norm when graph.OpOf(node.Inputs[0]) is Embed lookup:
                ops[source.Node] = lookup with { Table = map.Row(new NormalizedRowsWeight(lookup.Table, norm.Spec, norm.Gain, norm.Bias)) };
                break;
            case Center when graph.OpOf(node.Inputs[0]) is Embed lookup:
                ops[source.Node] = lookup with { Table = map.Row(ZeroMean.CenteredRows(lookup.Table)) };
                break;
            case CombineExperts:
                int experts = ExpertsOf(graph, uses, source.Node)!.Value;
                var op = (ExpertLinear)graph.Nodes[experts].Op;
                ops[experts] = op with { Weight = map.Matrix(op.Weight, op.Experts), Bias = op.Bias is null ? null : map.Row(op.Bias) };
                break;
            case Split split:
                int product = node.Inputs[0].Node;
                ops[product] = Part((Linear)(ops.TryGetValue(product, out var changed) ? changed : graph.Nodes[product].Op), split.Widths.Take(source.Output).Sum(), split.Widths[source.Output], map, groups);
                break;
        }
    }

    // Only the rows first … first + count of a fused product change.
    private static Linear Part(Linear linear, int first, int count, StreamMap map, int groups)
    {
        Weight Rows(Weight weight) => new ConcatWeight([.. new Weight[] { Slice(weight, 0, first), map.Matrix(Slice(weight, first, count), groups), Slice(weight, first + count, (int)weight.Rows - first - count) }.Where(w => w.Rows > 0)]);
        // A bias is one row; as a column its parts are slices.
        Weight? Bias(Weight? bias) => bias is null ? null : new ReshapeWeight(Column(new ReshapeWeight(bias, bias.Width, 1)), 1, bias.Width);
        Weight Column(Weight column) => new ConcatWeight([.. new Weight[]
        {
            Slice(column, 0, first), new ReshapeWeight(map.Row(new ReshapeWeight(Slice(column, first, count), 1, count)), count, 1), Slice(column, first + count, (int)column.Rows - first - count),
        }.Where(w => w.Rows > 0)]);
        return linear with { Weight = Rows(linear.Weight), Bias = Bias(linear.Bias), Adapters = [.. linear.Adapters.Select(a => a is null ? null : a with { B = Rows(a.B) })] };
    }

    private static SliceWeight Slice(Weight weight, long first, long count) => new(weight, first, count);
}
