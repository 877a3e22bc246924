using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>
/// y = Σ_i a_i v_i over values of several depths, a = softmax_i(query · (gain ⊙ v_i / √(mean v_i² + ε))), row by row: Attention Residuals, which take the place of the residual sum (Kimi team 2026,
/// arXiv 2603.15031). Inputs: v_0 … v_n−1 [Rows, width]; outputs: y [Rows, width] and a [Rows, n].
/// </summary>
/// <param name="Query">w [width].</param>
/// <param name="Gain">[width] or null.</param>
/// <param name="Epsilon">Inside the root.</param>
public sealed record DepthAttention(Weight Query, Weight? Gain, double Epsilon) : Op
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Weights => new[] { Query, Gain }.OfType<Weight>();

    /// <inheritdoc/>
    public override string Attributes => $"ε={Epsilon:G}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        Expect(inputs.Length > 0, "needs at least one value");
        Expect(double.IsFinite(Epsilon) && Epsilon >= 0, $"ε = {Epsilon} is not a finite number ≥ 0");
        foreach (var input in inputs)
        {
            ExpectF32(input, "value");
            Expect(input == inputs[0], $"values are {inputs[0]} and {input}");
        }
        ExpectVector(Query, inputs[0].Width, "query");
        ExpectVector(Gain, inputs[0].Width, "gain");
        return [inputs[0], inputs[0] with { Width = inputs.Length }];
    }
}
