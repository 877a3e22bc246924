using System.Collections.Immutable;

namespace Tare.Graphs;

/// <summary>Which two elements of a head form a rotated pair.</summary>
public enum RopePairing
{
    /// <summary>(x_i, x_{i + n/2}) over the n rotated elements: GPT-NeoX order, the one of Hugging Face checkpoints.</summary>
    Halves,

    /// <summary>(x_2i, x_2i+1): neighbours, the order of GPT-J and of Llama files in GGUF.</summary>
    Neighbors,
}

/// <summary>
/// Rotary positions (Su et al. 2021, arXiv 2104.09864): pair i of a head is rotated by position · InverseFrequencies[i], and scaled by Magnitude.
/// </summary>
/// <param name="Heads">Heads in the row.</param>
/// <param name="HeadWidth">Elements of a head.</param>
/// <param name="Offset">First rotated element of a head.</param>
/// <param name="Pairing">Which elements pair up.</param>
/// <param name="InverseFrequencies">One a pair: radians per position. The rotated width is twice its length.</param>
/// <param name="Magnitude">Factor on cos and sin (YaRN's attention factor).</param>
/// <param name="Dynamic">Length-dependent frequencies (dynamic NTK); they replace the table once the sequence is longer than the original context.</param>
public sealed record RopeSpec(int Heads, int HeadWidth, int Offset, RopePairing Pairing, ImmutableArray<double> InverseFrequencies, double Magnitude = 1, LengthDependentRope? Dynamic = null)
{
    /// <summary>Elements of a head that are rotated.</summary>
    public int RotatedWidth => 2 * InverseFrequencies.Length;

    /// <summary>Radians per position for a sequence of this length, one a pair.</summary>
    public ImmutableArray<double> FrequenciesFor(int length) => Dynamic is null || length <= Dynamic.OriginalLength ? InverseFrequencies : Dynamic.Frequencies(length, InverseFrequencies.Length);

    /// <inheritdoc/>
    public bool Equals(RopeSpec? other) => other is not null && Heads == other.Heads && HeadWidth == other.HeadWidth && Offset == other.Offset && Pairing == other.Pairing
        && Magnitude.Equals(other.Magnitude) && Dynamic == other.Dynamic && InverseFrequencies.SequenceEqual(other.InverseFrequencies);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Heads, HeadWidth, Offset, Pairing, InverseFrequencies.Length, Magnitude);
}

/// <summary>Frequencies that change once a sequence is longer than OriginalLength. A row uses the length of its sequence as it is known to the step.</summary>
public abstract record LengthDependentRope(int OriginalLength)
{
    /// <summary>The table for one length beyond the original: <paramref name="frequencies"/> [pairs], radians per position.</summary>
    public abstract void Fill(int length, Span<double> frequencies);

    /// <summary>The same as an array.</summary>
    public ImmutableArray<double> Frequencies(int length, int pairs)
    {
        var table = new double[pairs];
        Fill(length, table);
        return [.. table];
    }
}

/// <summary>LongRoPE (Ding et al. 2024, arXiv 2402.13753): another table for sequences beyond the original length.</summary>
public sealed record LongRope(int OriginalLength, ImmutableArray<double> LongFrequencies) : LengthDependentRope(OriginalLength)
{
    /// <inheritdoc/>
    public override void Fill(int length, Span<double> frequencies) => LongFrequencies.CopyTo(frequencies);

    /// <inheritdoc/>
    public bool Equals(LongRope? other) => other is not null && OriginalLength == other.OriginalLength && LongFrequencies.SequenceEqual(other.LongFrequencies);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(OriginalLength, LongFrequencies.Length);
}

/// <summary>
/// Dynamic NTK scaling: for a sequence of n &gt; OriginalLength tokens the base becomes base · (factor·n/original − (factor − 1))^(r/(r−2)), r the rotated width.
/// A row uses the length of its sequence as it is known to the step (the whole prompt while the prompt runs), so chunking does not change it.
/// </summary>
public sealed record DynamicRope(double Base, double Factor, int OriginalLength) : LengthDependentRope(OriginalLength)
{
    /// <inheritdoc/>
    public override void Fill(int length, Span<double> frequencies)
    {
        double width = 2.0 * frequencies.Length, scaled = Base * Math.Pow(Factor * length / OriginalLength - (Factor - 1), width / (width - 2));
        for (int i = 0; i < frequencies.Length; i++) frequencies[i] = Math.Pow(scaled, -2.0 * i / width);
    }
}
