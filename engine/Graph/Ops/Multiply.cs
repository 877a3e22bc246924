using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>y = a · b, element by element; a b of width 1 scales whole rows.</summary>
public sealed record Multiply : Op
{
    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        ExpectCount(inputs, 2);
        ExpectF32(inputs[0], "a");
        Expect(inputs[0] == inputs[1] || inputs[1] == inputs[0] with { Width = 1 }, $"a is {inputs[0]}, b is {inputs[1]}");
        return [inputs[0]];
    }
}
