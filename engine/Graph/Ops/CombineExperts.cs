using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>y[r] = Σ_j weights[r, j] · x[r, j], summed in router-rank order. Inputs: x [Rows, used · width], weights [Rows, used].</summary>
public sealed record CombineExperts : Op
{
    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        ExpectCount(inputs, 2);
        ExpectF32(inputs[0], "input");
        ExpectF32(inputs[1], "weights");
        Expect(inputs[0].Rows == inputs[1].Rows && inputs[1].Width > 0 && inputs[0].Width % inputs[1].Width == 0, $"{inputs[0]} can't be combined by {inputs[1]}");
        return [inputs[0] with { Width = inputs[0].Width / inputs[1].Width }];
    }
}
