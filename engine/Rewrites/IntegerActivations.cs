using System.Collections.Immutable;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Rewrites;

/// <summary>
/// The precision pass of the fast mode: puts <see cref="QuantizeRows"/> before every Linear whose weight is stored as small integers with scales, one for all Linears that read a value. Eight bits before weights of
/// four to six bits; sixteen before wider ones and those with a table of values. Weights of other types keep F32 activations.
/// </summary>
public static class IntegerActivations
{
    private static readonly ImmutableArray<TensorType> NarrowTypes = [TensorType.Q4_0, TensorType.Q4_1, TensorType.Q5_0, TensorType.Q5_1, TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K];
    private static readonly ImmutableArray<TensorType> Types = [.. NarrowTypes, TensorType.Q8_0, TensorType.IQ4_NL, TensorType.MXFP4];

    /// <summary>The graph with integer activations where they apply.</summary>
    public static Graph Apply(Graph graph)
    {
        var nodes = ImmutableArray.CreateBuilder<Node>();
        var moved = new Dictionary<Value, Value>();      // old → new
        var quantized = new Dictionary<(Value, int), Value>(); // old value and bits → its QuantizeRows
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            var node = graph.Nodes[i];
            bool integer = node.Op is Linear { Adapters.IsEmpty: true } linear && Applies(linear.Weight);
            int bits = integer ? Bits(((Linear)node.Op).Weight) : 0;
            if (integer && !quantized.ContainsKey((node.Inputs[0], bits)))
            {
                nodes.Add(new Node(new QuantizeRows(bits), [moved[node.Inputs[0]]], [graph.TypeOf(node.Inputs[0])], node.Block));
                quantized.Add((node.Inputs[0], bits), new Value(nodes.Count - 1));
            }
            nodes.Add(node with { Inputs = [.. node.Inputs.Select(v => integer ? quantized[(v, bits)] : moved[v])] });
            for (int k = 0; k < node.Outputs.Length; k++) moved.Add(new Value(i, k), new Value(nodes.Count - 1, k));
        }
        return Verifier.Verify(new Graph(nodes.ToImmutable(), [.. graph.Outputs.Select(o => o with { Value = moved[o.Value] })], [.. graph.HiddenStates.Select(v => moved[v])], graph.Blocks));
    }

    /// <summary>Whether products with this weight use integer activations.</summary>
    public static bool Applies(Weight weight) => Types.Contains(weight.Type) && weight.Width % QuantizeRows.Block == 0 && weight.Rows > 0 && weight.TryGetStoredRow(0, out _);

    private static int Bits(Weight weight) => NarrowTypes.Contains(weight.Type) ? 8 : 16;
}
