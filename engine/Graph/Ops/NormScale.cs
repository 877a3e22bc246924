using System.Collections.Immutable;

namespace Tare.Graphs.Ops;

/// <summary>The denominator of a norm for each group of each row, ε included: [rows, groups].</summary>
/// <param name="Spec">A LayerNorm, RMSNorm or static norm.</param>
public sealed record NormScale(NormSpec Spec) : Op
{
    /// <inheritdoc/>
    public override string Attributes => $"{Spec.Kind} ε={Spec.Epsilon:G}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        var x = Single(inputs);
        Expect(Spec.Groups > 0 && x.Width % Spec.Groups == 0, $"{Spec.Groups} groups don't divide width {x.Width}");
        Expect(Spec.Kind is NormKind.LayerNorm or NormKind.RmsNorm or NormKind.Static, $"{Spec.Kind} has no single denominator");
        return [x with { Width = Spec.Groups }];
    }
}
