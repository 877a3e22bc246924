using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs;

/// <summary>Which keys a query sees.</summary>
public enum AttentionMask
{
    /// <summary>Keys at the query's position and before.</summary>
    Causal,

    /// <summary>All keys of the sequence, which must be whole in one step.</summary>
    Bidirectional,
}

/// <summary>softmax(scale · q kᵀ (soft-capped) + slope · distance) v per head, query head h reading key head h / (Heads / KvHeads).</summary>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Key and value heads; divides Heads.</param>
/// <param name="KeyWidth">Width of a query or key head.</param>
/// <param name="ValueWidth">Width of a value head.</param>
/// <param name="Scale">Factor on q·k.</param>
/// <param name="Mask">Which keys are seen.</param>
/// <param name="Window">Causal only: a query at p sees the keys p − Window + 1 … p.</param>
/// <param name="SoftCap">Scores s become cap · tanh(s / cap).</param>
/// <param name="ValueFromKey">The value is the first ValueWidth elements of the key (absorbed multi-head latent attention).</param>
public sealed record AttentionSpec(int Heads, int KvHeads, int KeyWidth, int ValueWidth, double Scale, AttentionMask Mask = AttentionMask.Causal, int? Window = null,
    double? SoftCap = null, bool ValueFromKey = false)
{
    /// <summary>ALiBi: one slope a head; slope · (key position − query position) is added to the score (Press et al. 2021). Empty = none.</summary>
    public ImmutableArray<double> AlibiSlopes { get; init; } = [];

    /// <summary>One logit a head that takes part in the softmax and has no value. Null = none.</summary>
    public Weight? Sinks { get; init; }

    /// <summary>The slopes of Press et al. 2021 (arXiv 2108.12409) for any number of heads.</summary>
    public static ImmutableArray<double> Slopes(int heads, double maximumBias = 8)
    {
        int power = 1;
        while (power * 2 <= heads) power *= 2;
        return [.. Enumerable.Range(0, heads).Select(h => h < power
            ? Math.Pow(2, -maximumBias * (h + 1) / power)
            : Math.Pow(2, -maximumBias * (2 * (h - power) + 1) / (2 * power)))];
    }

    /// <inheritdoc/>
    public bool Equals(AttentionSpec? other) => other is not null && (Heads, KvHeads, KeyWidth, ValueWidth, Scale, Mask, Window, SoftCap, ValueFromKey, Sinks)
        == (other.Heads, other.KvHeads, other.KeyWidth, other.ValueWidth, other.Scale, other.Mask, other.Window, other.SoftCap, other.ValueFromKey, other.Sinks)
        && AlibiSlopes.SequenceEqual(other.AlibiSlopes);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Heads, KvHeads, KeyWidth, ValueWidth, Scale, Mask, Window, SoftCap);
}
