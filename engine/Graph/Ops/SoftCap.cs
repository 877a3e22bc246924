using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>y = Cap · tanh(x / Cap).</summary>
/// <param name="Cap">The bound.</param>
public sealed record SoftCap(double Cap) : Op
{
    /// <inheritdoc/>
    public override string Attributes => $"{Cap:G}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        Expect(double.IsFinite(Cap) && Cap > 0, $"cap {Cap} is not > 0");
        return [Single(inputs)];
    }
}
