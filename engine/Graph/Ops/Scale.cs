using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>y = Factor · x.</summary>
/// <param name="Factor">The factor.</param>
public sealed record Scale(double Factor) : Op
{
    /// <inheritdoc/>
    public override string Attributes => $"{Factor:G9}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        Expect(double.IsFinite(Factor), $"factor {Factor} is not finite");
        return [Single(inputs)];
    }
}
