using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>An op within a <see cref="FusedOp"/>.</summary>
/// <param name="Op">What is computed.</param>
/// <param name="Inputs">Numbers of values: the inputs of the fused op come first, then the outputs of its parts, part after part.</param>
/// <param name="Outputs">Number of outputs.</param>
public sealed record FusedPart(Op Op, ImmutableArray<int> Inputs, int Outputs)
{
    /// <inheritdoc/>
    public bool Equals(FusedPart? other) => other is not null && Op == other.Op && Outputs == other.Outputs && Inputs.SequenceEqual(other.Inputs);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Op, Inputs.Length);
}

/// <summary>Several ops that one kernel runs: what they compute is what the parts compute one after the other, to the bit. Values within need not be stored; any of them can be a result.</summary>
/// <param name="InputCount">Number of inputs.</param>
/// <param name="Parts">The ops, each after those whose values it reads.</param>
/// <param name="Results">Numbers of the values that are outputs, as in <see cref="FusedPart.Inputs"/>; parts' outputs only.</param>
public abstract record FusedOp(int InputCount, ImmutableArray<FusedPart> Parts, ImmutableArray<int> Results) : Op
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Weights => Parts.SelectMany(p => p.Op.Weights);

    /// <inheritdoc/>
    public override string Attributes => string.Join(" + ", Parts.Select(p => p.Op.Attributes.Length == 0 ? p.Op.Name : $"{p.Op.Name} {p.Op.Attributes}"));

    /// <summary>The op that makes an output.</summary>
    public Op OpOf(int output)
    {
        int next = InputCount;
        foreach (var part in Parts)
        {
            next += part.Outputs;
            if (Results[output] < next) return part.Op;
        }
        throw new GraphException($"{Name} has no output {output}");
    }

    /// <summary>The types of all values, numbered as in <see cref="FusedPart.Inputs"/>. Throws <see cref="GraphException"/>.</summary>
    public ImmutableArray<ValueInfo> TypesOf(ReadOnlySpan<ValueInfo> inputs)
    {
        ExpectCount(inputs, InputCount);
        var types = ImmutableArray.CreateBuilder<ValueInfo>();
        types.AddRange(inputs);
        foreach (var part in Parts)
        {
            Expect(part.Op is not FusedOp, "a fused op within a fused op");
            Expect(part.Inputs.All(v => v >= 0 && v < types.Count), $"{part.Op.Name} reads a value that is not there yet");
            var outputs = part.Op.Infer([.. part.Inputs.Select(v => types[v])]);
            Expect(outputs.Length == part.Outputs, $"{part.Op.Name} has {outputs.Length} outputs, not {part.Outputs}");
            types.AddRange(outputs);
        }
        return types.ToImmutable();
    }

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        Expect(!Parts.IsDefaultOrEmpty && !Results.IsDefaultOrEmpty, "has no parts or no results");
        var types = TypesOf(inputs);
        Expect(Results.Distinct().Count() == Results.Length && Results.All(v => v >= InputCount && v < types.Length), $"results {string.Join(", ", Results)} of {types.Length} values");
        CheckParts(types);
        return [.. Results.Select(v => types[v])];
    }

    /// <inheritdoc/>
    public virtual bool Equals(FusedOp? other) => other is not null && EqualityContract == other.EqualityContract && InputCount == other.InputCount && Parts.SequenceEqual(other.Parts) && Results.SequenceEqual(other.Results);

    /// <inheritdoc/>
    public override int GetHashCode() => Parts.Aggregate(InputCount, HashCode.Combine);

    /// <summary>What the kind of fusion asks of its parts.</summary>
    private protected abstract void CheckParts(ImmutableArray<ValueInfo> types);
}
