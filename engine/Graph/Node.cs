using System.Collections.Immutable;

namespace Tare.Graphs;

/// <summary>One operation of a graph with its inputs (values of earlier nodes) and the types of its outputs.</summary>
/// <param name="Op">What is computed.</param>
/// <param name="Inputs">Values of earlier nodes.</param>
/// <param name="Outputs">One type an output.</param>
/// <param name="Block">Index of the transformer block that the node belongs to, −1 outside of blocks.</param>
public sealed record Node(Op Op, ImmutableArray<Value> Inputs, ImmutableArray<ValueInfo> Outputs, int Block)
{
    /// <inheritdoc/>
    public bool Equals(Node? other) => other is not null && Block == other.Block && Op == other.Op && Inputs.SequenceEqual(other.Inputs) && Outputs.SequenceEqual(other.Outputs);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Op, Inputs.Length, Block);
}
