using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>Normalizes each group of each row as <see cref="NormSpec"/> says.</summary>
/// <param name="Spec">Kind, ε, groups.</param>
/// <param name="Gain">[width], or [width / groups] shared by all groups, or null.</param>
/// <param name="Bias">The same shapes.</param>
public sealed record Norm(NormSpec Spec, Weight? Gain, Weight? Bias) : Op
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Weights => new[] { Gain, Bias }.OfType<Weight>();

    /// <inheritdoc/>
    public override string Attributes => $"{Spec.Kind} ε={Spec.Epsilon:G}" + (Spec.GainOffset == 0 ? "" : " 1+w") + (Spec.Groups == 1 ? "" : $" groups {Spec.Groups}") + (Spec.Center ? " centered" : "")
        + (Spec.FullWidth == 0 ? "" : $" of {Spec.FullWidth}") + (Spec.OutputScale.Equals(1.0) ? "" : $" × {Spec.OutputScale:G6}");

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        var x = Single(inputs);
        Expect(double.IsFinite(Spec.Epsilon) && Spec.Epsilon >= 0, $"ε = {Spec.Epsilon} is not a finite number ≥ 0");
        Expect(Spec.GainOffset is 0 or 1, $"gain offset {Spec.GainOffset} is neither 0 nor 1");
        Expect(Spec.Groups > 0 && x.Width % Spec.Groups == 0, $"{Spec.Groups} groups don't divide width {x.Width}");
        Expect(Spec.Kind == NormKind.Static || Spec.Epsilon < NormSpec.StaticEpsilon, $"ε = {Spec.Epsilon} means a static norm, not {Spec.Kind}");
        Expect(Spec.Kind != NormKind.Static || Spec.Epsilon > 0, "a static norm needs ε > 0");
        Expect(Spec.Kind == NormKind.Static || !Spec.Center, $"only a static norm has an optional mean, not {Spec.Kind}");
        Expect(double.IsFinite(Spec.OutputScale), $"scale {Spec.OutputScale} is not finite");
        Expect(Spec.IsCompressed == Spec.FullWidth > 0, $"{Spec.Kind} with a full width of {Spec.FullWidth}");
        Expect(!Spec.IsCompressed || (Spec.FullWidth > 1 && x.Width >= Spec.FullWidth - 1 && Spec.Groups == 1 && Gain is null && Bias is null && Spec.OutputScale.Equals(1.0)),
            $"{Spec.Kind} of {Spec.FullWidth} stored as {x.Width}, groups {Spec.Groups}: it takes the whole row and has neither gain nor bias");
        foreach (var weight in new[] { Gain, Bias })
            if (weight is not null && weight.Width != x.Width / Spec.Groups) ExpectVector(weight, x.Width, "gain and bias");
            else ExpectVector(weight, x.Width / Spec.Groups, "gain and bias");
        return [x];
    }
}
