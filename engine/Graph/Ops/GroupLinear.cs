using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>One small matrix a group of the row (block diagonal): y[g] = W[g] x[g]. Multi-head latent attention absorbs its up-projections this way.</summary>
/// <param name="Weight">[groups · out, in]: group g has the rows g · out ….</param>
/// <param name="Groups">Number of groups; the input is [Rows, groups · in].</param>
public sealed record GroupLinear(Weight Weight, int Groups) : Op
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Weights => [Weight];

    /// <inheritdoc/>
    public override string Attributes => $"groups {Groups}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        var x = Single(inputs);
        Expect(Groups > 0 && Weight.Rows % Groups == 0 && Weight.Rows <= int.MaxValue, $"{Groups} groups don't divide the {Weight.Rows} rows of {Weight}");
        Expect((long)Weight.Width * Groups == x.Width, $"{Groups} groups of {Weight.Width} are not the input's {x.Width}");
        return [x with { Width = (int)Weight.Rows }];
    }
}
