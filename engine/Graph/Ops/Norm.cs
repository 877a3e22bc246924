using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>Normalizes each group of each row as <see cref="NormSpec"/> says. Inputs: x, and for a BoundedTanh perhaps the rows whose mean square it uses.</summary>
/// <param name="Spec">Kind, ε, groups.</param>
/// <param name="Gain">[width], or [width / groups] shared by all groups, or null.</param>
/// <param name="Bias">The same shapes.</param>
public sealed record Norm(NormSpec Spec, Weight? Gain, Weight? Bias) : Op
{
    /// <summary>α [1] of a DynamicTanh, λ [1] of a BoundedTanh, α [width] of a DynamicGain; null for the other kinds.</summary>
    public Weight? Alpha { get; init; }

    /// <summary>β [width] of a DynamicGain; null for the other kinds.</summary>
    public Weight? Direction { get; init; }

    /// <summary>[1], added to the mean square of a BoundedTanh that takes it from a second input; else null.</summary>
    public Weight? ExtraVariance { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<Weight> Weights => new[] { Gain, Bias, Alpha, Direction, ExtraVariance }.OfType<Weight>();

    /// <inheritdoc/>
    public override string Attributes => $"{Spec.Kind} ε={Spec.Epsilon:G}" + (Spec.GainOffset == 0 ? "" : " 1+w") + (Spec.Groups == 1 ? "" : $" groups {Spec.Groups}") + (Spec.Center ? " centered" : "")
        + (Spec.FullWidth == 0 ? "" : $" of {Spec.FullWidth}") + (Spec.OutputScale.Equals(1.0) ? "" : $" × {Spec.OutputScale:G6}") + (Spec.Bound.Equals(0.0) ? "" : $" κ={Spec.Bound:G}");

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        bool shared = inputs.Length == 2;
        ExpectCount(inputs, shared && Spec.Kind == NormKind.BoundedTanh ? 2 : 1);
        var x = inputs[0];
        ExpectF32(x, "input");
        Expect(!shared || inputs[1] == x, $"the rows of the mean square are {(shared ? inputs[1] : x)}, the input is {x}");
        Expect(double.IsFinite(Spec.Epsilon) && Spec.Epsilon >= 0, $"ε = {Spec.Epsilon} is not a finite number ≥ 0");
        Expect(Spec.GainOffset is 0 or 1, $"gain offset {Spec.GainOffset} is neither 0 nor 1");
        Expect(Spec.Groups > 0 && x.Width % Spec.Groups == 0, $"{Spec.Groups} groups don't divide width {x.Width}");
        Expect(Spec.Kind == NormKind.Static || Spec.Epsilon < NormSpec.StaticEpsilon, $"ε = {Spec.Epsilon} means a static norm, not {Spec.Kind}");
        Expect(Spec.Kind != NormKind.Static || Spec.Epsilon > 0, "a static norm needs ε > 0");
        Expect(Spec.Kind == NormKind.Static || !Spec.Center, $"only a static norm has an optional mean, not {Spec.Kind}");
        Expect(double.IsFinite(Spec.OutputScale), $"scale {Spec.OutputScale} is not finite");
        ExpectKind(x, shared);
        foreach (var weight in new[] { Gain, Bias })
            if (weight is not null && weight.Width != x.Width / Spec.Groups) ExpectVector(weight, x.Width, "gain and bias");
            else ExpectVector(weight, x.Width / Spec.Groups, "gain and bias");
        return [x];
    }

    private void ExpectKind(ValueInfo x, bool shared)
    {
        bool gated = Spec.Kind is NormKind.DynamicTanh or NormKind.BoundedTanh, dynamic = Spec.Kind == NormKind.DynamicGain;
        Expect(Spec.IsCompressed == Spec.FullWidth > 0, $"{Spec.Kind} with a full width of {Spec.FullWidth}");
        Expect(!Spec.IsCompressed || (Spec.FullWidth > 1 && x.Width >= Spec.FullWidth - 1 && Spec.Groups == 1 && Gain is null && Bias is null && Spec.OutputScale.Equals(1.0)),
            $"{Spec.Kind} of {Spec.FullWidth} stored as {x.Width}, groups {Spec.Groups}: it takes the whole row and has neither gain nor bias");
        Expect((Alpha is not null) == (gated || dynamic) && (Direction is not null) == dynamic, $"{Spec.Kind} {(Alpha is null ? "without" : "with")} α, {(Direction is null ? "without" : "with")} direction");
        Expect((ExtraVariance is not null) == shared, "an extra variance belongs to a second input");
        Expect(Spec.Kind == NormKind.BoundedTanh ? Spec.Bound > 0 && double.IsFinite(Spec.Bound) : Spec.Bound.Equals(0.0), $"{Spec.Kind} with κ = {Spec.Bound}");
        Expect(!(gated || dynamic) || Spec.Groups == 1, $"{Spec.Kind} takes whole rows, not {Spec.Groups} groups");
        Expect(!dynamic || (Gain is not null && Bias is null), $"{Spec.Kind} has a gain and no bias");
        ExpectVector(Alpha, gated ? 1 : x.Width, "α");
        ExpectVector(Direction, x.Width, "direction");
        ExpectVector(ExtraVariance, 1, "extra variance");
    }
}
