using System.Collections.Immutable;

namespace Tare.Graphs.Ops;

/// <summary>y = (u + 1) · g · σ(Alpha · g) with g = min(gate, Limit), u = clamp(up, −Limit, Limit): the gated unit of gpt-oss (OpenAI 2025, arXiv 2508.10925).</summary>
/// <param name="Alpha">Slope of the sigmoid.</param>
/// <param name="Limit">Bound.</param>
public sealed record ClampedGlu(double Alpha, double Limit) : Op
{
    /// <inheritdoc/>
    public override string Attributes => $"α={Alpha:G}, limit {Limit:G}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        ExpectCount(inputs, 2);
        ExpectF32(inputs[0], "gate");
        Expect(inputs[0] == inputs[1], $"gate is {inputs[0]}, up is {inputs[1]}");
        Expect(double.IsFinite(Alpha) && Limit > 0, Attributes);
        return [inputs[0]];
    }
}
