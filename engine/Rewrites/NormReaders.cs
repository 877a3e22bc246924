using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Rewrites;

/// <summary>Products that read a value, and what becomes of them when y = diag(gain) M x + bias moves into their weights.</summary>
internal static class NormReaders
{
    /// <summary>Why a norm's affine part can't move into its readers, or null: every reader must be a product over the whole row, and the value no output.</summary>
    public static Obstacle? Obstacle(Graph graph, ValueUses uses, int norm)
    {
        if (uses.IsOutput(new Value(norm))) return new(norm, "its value is an output of the graph");
        foreach (var use in uses.Of(new Value(norm)))
            if (!Absorbs(graph, use)) return new(use.Node, $"{graph.Nodes[use.Node].Op.Name} reads the norm's output and is no product that could absorb its gain and bias");
        return null;
    }

    /// <summary>Whether a use is a product over the whole row.</summary>
    public static bool Absorbs(Graph graph, Use use) => graph.Nodes[use.Node].Op switch
    {
        Linear linear => linear.Adapters.All(a => a is null),
        ExpertLinear experts => use.Input == 0 && graph.TypeOf(graph.Nodes[use.Node].Inputs[0]).Width == experts.Weight.Width,
        _ => false,
    };

    /// <summary>W ← reader(W), b ← b + W_old · bias.</summary>
    public static Op Change(Op op, Func<Weight, Weight> reader, Weight? bias) => op switch
    {
        Linear linear => linear with { Weight = reader(linear.Weight), Bias = bias is null ? linear.Bias : new AddProductWeight(linear.Bias, linear.Weight, bias) },
        ExpertLinear experts => experts with
        {
            Weight = reader(experts.Weight),
            Bias = bias is null ? experts.Bias : new ReshapeWeight(new AddProductWeight(experts.Bias, experts.Weight, bias), experts.Experts, checked((int)(experts.Weight.Rows / experts.Experts))),
        },
        _ => throw new ArgumentException($"{op.Name} is no product"),
    };

    /// <summary>The gain of a norm as it acts, over the whole row, times <paramref name="factor"/>; null where it is 1 everywhere.</summary>
    public static Weight? EffectiveGain(Norm norm, int width, double factor = 1)
    {
        factor *= norm.Spec.OutputScale;
        if (norm.Gain is null) return factor.Equals(1.0) ? null : new UniformWeight(1, width, factor);
        var gain = Tile(norm.Gain, width);
        return factor.Equals(1.0) && norm.Spec.GainOffset == 0 ? gain : new AffineWeight(gain, factor, norm.Spec.GainOffset);
    }

    /// <summary>A vector of one group, repeated over the row.</summary>
    public static Weight Tile(Weight vector, int width)
        => vector.Width == width ? vector : new ReshapeWeight(new ConcatWeight([.. Enumerable.Repeat(vector, width / vector.Width)]), 1, width);
}
