using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>Rotates pairs of each head by the row's position. Inputs: x [Rows, heads · head width], positions I32 [Rows, 1].</summary>
/// <param name="Spec">Which elements, which frequencies.</param>
public sealed record Rope(RopeSpec Spec) : Op
{
    /// <inheritdoc/>
    public override string Attributes => $"{Spec.Heads} × {Spec.HeadWidth}, {Spec.RotatedWidth} from {Spec.Offset}, {Spec.Pairing}" + (Spec.Magnitude.Equals(1.0) ? "" : $", magnitude {Spec.Magnitude:G6}") + (Spec.Dynamic is null ? "" : ", dynamic");

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        ExpectCount(inputs, 2);
        ExpectF32(inputs[0], "input");
        Expect(inputs[1] == ValueInfo.I32(RowAxis.Rows, 1) && inputs[0].Rows == RowAxis.Rows, $"positions must be I32[Rows,1], are {inputs[1]}");
        Expect(Spec.Heads > 0 && (long)Spec.Heads * Spec.HeadWidth == inputs[0].Width, $"{Spec.Heads} heads of {Spec.HeadWidth} are not {inputs[0].Width}");
        Expect(!Spec.InverseFrequencies.IsDefaultOrEmpty && Spec.Offset >= 0 && Spec.Offset + Spec.RotatedWidth <= Spec.HeadWidth, $"{Spec.RotatedWidth} elements from {Spec.Offset} don't fit a head of {Spec.HeadWidth}");
        Expect(Spec.InverseFrequencies.All(double.IsFinite) && double.IsFinite(Spec.Magnitude), "frequencies must be finite");
        return [inputs[0]];
    }
}
