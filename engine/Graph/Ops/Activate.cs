using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>y = f(x), element by element.</summary>
/// <param name="Kind">f.</param>
public sealed record Activate(ActivationKind Kind) : Op
{
    /// <inheritdoc/>
    public override string Attributes => $"{Kind}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs) => [Single(inputs)];
}
