using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>A low-rank term of a Linear: Scale · B (A x), for the rows whose adapter slot names it (Hu et al. 2021, arXiv 2106.09685).</summary>
/// <param name="A">[rank, in].</param>
/// <param name="B">[out, rank].</param>
/// <param name="Scale">Factor on the term.</param>
public sealed record LowRankAdapter(Weight A, Weight B, double Scale);

/// <summary>y = W x + b, plus the low-rank term of the row's adapter slot.</summary>
/// <param name="Weight">W [out, in].</param>
/// <param name="Bias">b [out] or null.</param>
public sealed record Linear(Weight Weight, Weight? Bias = null) : Op
{
    /// <summary>Slot i + 1 of a row's <c>RowSlots.Adapter</c> means entry i; slot 0 means none; an entry may be null.</summary>
    public ImmutableArray<LowRankAdapter?> Adapters { get; init; } = [];

    /// <inheritdoc/>
    public override IEnumerable<Weight> Weights
        => new[] { Weight, Bias }.Concat(Adapters.SelectMany(a => a is null ? [] : new[] { a.A, a.B })).OfType<Weight>();

    /// <inheritdoc/>
    public override string Attributes => Adapters.IsEmpty ? "" : $"adapters {Adapters.Length}";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        var x = Single(inputs);
        Expect(Weight.Width == x.Width, $"weight {Weight} is {Weight.Width} wide, its input {x.Width}");
        Expect(Weight.Rows <= int.MaxValue, $"weight {Weight} has {Weight.Rows} rows");
        ExpectVector(Bias, (int)Weight.Rows, "bias");
        foreach (var adapter in Adapters)
            if (adapter is not null)
                Expect(adapter.A.Width == x.Width && adapter.A.Rows == adapter.B.Width && adapter.B.Rows == Weight.Rows, $"adapter {adapter.A} · {adapter.B} doesn't fit {Weight}");
        return [x with { Width = (int)Weight.Rows }];
    }

    /// <inheritdoc/>
    public bool Equals(Linear? other) => other is not null && Weight == other.Weight && Bias == other.Bias && Adapters.SequenceEqual(other.Adapters);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Weight, Bias, Adapters.Length);
}
