using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>Router logits [Rows, experts] → expert ids I32 [Rows, used] (best first) and their weights F32 [Rows, used].</summary>
/// <param name="Spec">Scores, groups, normalization.</param>
/// <param name="Correction">[experts], added to the scores for the choice only, or null.</param>
public sealed record Router(RouterSpec Spec, Weight? Correction = null) : Op
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Weights => Correction is null ? [] : [Correction];

    /// <inheritdoc/>
    public override string Attributes => $"{Spec.UsedExperts} of {Spec.Experts} by {Spec.Score}" + (Spec.Groups == 1 ? "" : $", {Spec.UsedGroups} of {Spec.Groups} groups");

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        var x = Single(inputs);
        Expect(Spec.Experts == x.Width, $"{Spec.Experts} experts, but {x.Width} logits");
        Expect(Spec.Groups > 0 && Spec.Experts % Spec.Groups == 0, $"{Spec.Groups} groups don't divide {Spec.Experts} experts");
        Expect(Spec.UsedGroups > 0 && Spec.UsedGroups <= Spec.Groups, $"{Spec.UsedGroups} of {Spec.Groups} groups");
        Expect(Spec.Groups == 1 || Spec.Experts / Spec.Groups >= 2, "a group needs two experts");
        Expect(Spec.UsedExperts > 0 && Spec.UsedExperts <= Spec.Experts / Spec.Groups * Spec.UsedGroups, $"{Spec.UsedExperts} of {Spec.Experts} experts");
        ExpectVector(Correction, Spec.Experts, "correction bias");
        return [x with { Width = Spec.UsedExperts, Element = ElementType.I32 }, x with { Width = Spec.UsedExperts }];
    }
}
