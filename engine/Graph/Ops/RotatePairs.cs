using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>Rotates neighboring elements (2i, 2i + 1) of each row by fixed angles, the same for every row: the phase rotation of the Three-Phase Transformer (arXiv 2604.14430).</summary>
/// <param name="Angles">Radians, one a pair: [1, width / 2].</param>
public sealed record RotatePairs(Weight Angles) : Op
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Weights => [Angles];

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        var x = Single(inputs);
        Expect(x.Width % 2 == 0, $"width {x.Width} is odd");
        ExpectVector(Angles, x.Width / 2, "angles");
        return [x];
    }
}
