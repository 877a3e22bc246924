using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>y[r, j] = W[ids[r, j]] x (+ b): for each chosen expert of a row its matrix, over stacked weights.</summary>
/// <param name="Weight">[experts · out, in].</param>
/// <param name="Bias">[experts, out] or null.</param>
/// <param name="Experts">Number of stacked experts.</param>
/// <remarks>Inputs: x [Rows, in] (shared by all chosen experts) or [Rows, used · in] (one part each), and ids [Rows, used]. Output [Rows, used · out], in router-rank order.</remarks>
public sealed record ExpertLinear(Weight Weight, Weight? Bias, int Experts) : Op
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Weights => new[] { Weight, Bias }.OfType<Weight>();

    /// <inheritdoc/>
    public override string Attributes => $"experts {Experts}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        ExpectCount(inputs, 2);
        var (x, ids) = (inputs[0], inputs[1]);
        ExpectF32(x, "input");
        Expect(ids.Element == ElementType.I32 && ids.Rows == x.Rows, $"ids must be I32[{x.Rows}], are {ids}");
        Expect(Experts > 0 && Weight.Rows % Experts == 0, $"{Experts} experts don't divide the {Weight.Rows} rows of {Weight}");
        Expect(x.Width == Weight.Width || x.Width == (long)Weight.Width * ids.Width, $"input of {x.Width} is neither {Weight.Width} nor {ids.Width} times that");
        Expect(Weight.Rows / Experts * ids.Width <= int.MaxValue, "output is too wide");
        Expect(Bias is null || (Bias.Rows == Experts && Bias.Width == Weight.Rows / Experts), $"bias must be [{Experts},{Weight.Rows / Experts}]");
        return [x with { Width = (int)(Weight.Rows / Experts * ids.Width) }];
    }
}
