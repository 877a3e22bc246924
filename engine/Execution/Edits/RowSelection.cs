using System.Collections.Immutable;
using System.Globalization;

namespace Tare.Execution.Edits;

/// <summary>Positions from <paramref name="First"/> to <paramref name="Last"/>, both included; negative ones count from the end of the prompt (−1 = its last token).</summary>
public readonly record struct PositionRange(int First, int Last)
{
    /// <summary>Whether a position lies within, for a prompt of <paramref name="promptTokens"/>.</summary>
    public bool Contains(int position, int promptTokens)
        => position >= (First < 0 ? First + (long)promptTokens : First) && position <= (Last < 0 ? Last + (long)promptTokens : Last);

    /// <inheritdoc/>
    public override string ToString() => First == Last ? First.ToString(CultureInfo.InvariantCulture) : $"{First}..{(Last == int.MaxValue ? "" : Last.ToString(CultureInfo.InvariantCulture))}";
}

/// <summary>Which rows an edit is about: those at one of the positions, of the phase, with one of the tokens. What is left out does not restrict.</summary>
public sealed record RowSelection
{
    /// <summary>All rows.</summary>
    public static RowSelection All { get; } = new();

    /// <summary>Positions; empty = all.</summary>
    public ImmutableArray<PositionRange> Positions { get; init; } = [];

    /// <summary>Whether only rows of the prompt (false) or only generated ones (true) are meant; null = both. Draft rows count as generated.</summary>
    public bool? Generated { get; init; }

    /// <summary>Token ids; empty = all.</summary>
    public ImmutableArray<int> Tokens { get; init; } = [];

    /// <summary>Another selection that must contain the row too; null = none.</summary>
    public RowSelection? And { get; init; }

    /// <summary>Whether a row is meant.</summary>
    public bool Contains(int position, int token, bool generated, int promptTokens)
    {
        if (Generated is bool wanted && wanted != generated) return false;
        if (!Tokens.IsEmpty && !Tokens.Contains(token)) return false;
        if (And is not null && !And.Contains(position, token, generated, promptTokens)) return false;
        if (Positions.IsEmpty) return true;
        foreach (var range in Positions)
            if (range.Contains(position, promptTokens)) return true;
        return false;
    }

    /// <inheritdoc/>
    public bool Equals(RowSelection? other) => other is not null && Generated == other.Generated && Equals(And, other.And) && Positions.SequenceEqual(other.Positions) && Tokens.SequenceEqual(other.Tokens);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Generated, And, Positions.Length, Tokens.Length);
}
