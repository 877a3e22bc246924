using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs;

/// <summary>What a node computes: immutable attributes, weights included. One file an op; equality is structural.</summary>
public abstract record Op
{
    /// <summary>The op's name in dumps and tables.</summary>
    public string Name => GetType().Name;

    /// <summary>The weights that this op reads, in a fixed order.</summary>
    public virtual IEnumerable<Weight> Weights => [];

    /// <summary>Whether the op only looks: nothing but outputs of the graph read what it gives, so a backend may run it wherever the row is at hand.</summary>
    public virtual bool IsObservation => false;

    /// <summary>Checks attributes and inputs and gives the output types. Throws <see cref="GraphException"/>.</summary>
    public abstract ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs);

    /// <summary>The attributes as dumps show them (weights apart); empty when there are none.</summary>
    public virtual string Attributes => "";

    private protected void Expect(bool condition, string message)
    {
        if (!condition) throw new GraphException($"{Name}: {message}");
    }

    private protected ValueInfo Single(ReadOnlySpan<ValueInfo> inputs, ElementType element = ElementType.F32)
    {
        Expect(inputs.Length == 1, $"takes 1 input, has {inputs.Length}");
        Expect(inputs[0].Element == element, $"takes {element}, has {inputs[0]}");
        return inputs[0];
    }

    private protected void ExpectCount(ReadOnlySpan<ValueInfo> inputs, int count) => Expect(inputs.Length == count, $"takes {count} inputs, has {inputs.Length}");

    private protected void ExpectF32(ValueInfo type, string role) => Expect(type.Element == ElementType.F32, $"{role} must be F32, is {type}");

    private protected void ExpectVector(Weight? weight, int width, string role)
    {
        if (weight is not null)
            Expect(weight.Rows == 1 && weight.Width == width, $"{role} must be [{width}], is [{weight.Rows},{weight.Width}] ({weight})");
    }
}
