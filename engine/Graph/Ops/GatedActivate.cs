using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>y = f(gate) · up, element by element (GLU variants, Shazeer 2020, arXiv 2002.05202).</summary>
/// <param name="Kind">f.</param>
public sealed record GatedActivate(ActivationKind Kind) : Op
{
    /// <inheritdoc/>
    public override string Attributes => $"{Kind}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        ExpectCount(inputs, 2);
        ExpectF32(inputs[0], "gate");
        Expect(inputs[0] == inputs[1], $"gate is {inputs[0]}, up is {inputs[1]}");
        return [inputs[0]];
    }
}
