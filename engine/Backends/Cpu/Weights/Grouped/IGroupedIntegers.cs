using Tare.Formats;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>A block-quantized type as small integers with a scale (and a minimum) a group: value = scale · table[code] + minimum, rounded after each step, which has the bits of the file's own decoder.</summary>
internal unsafe interface IGroupedIntegers
{
    static abstract TensorType Type { get; }

    /// <summary>Values that share a scale: 16 or 32.</summary>
    static abstract int Group { get; }

    /// <summary>Codes are 0 … 15 (stored in four bits), else signed bytes.</summary>
    static abstract bool IsNibble { get; }

    static abstract bool HasMinimum { get; }

    static abstract ScaleForm Scales { get; }

    /// <summary>Values of the 16 codes of a nibble type; empty for bytes, whose code is the value.</summary>
    static abstract ReadOnlySpan<float> Table { get; }

    /// <summary>What is added to a stored code to make it unsigned, for products with bytes.</summary>
    static abstract int Bias { get; }

    /// <summary>
    /// What products with bytes take from the unsigned code, so that sums of 16 products with signed bytes stay within I16: 0, 8, 16 or 32. That is the bias, or for nibbles what the table says; where there is a
    /// minimum, that makes up for the rest. −1: the type takes no bytes.
    /// </summary>
    static abstract int Center { get; }

    /// <summary>Unpacks one stored block. Of each 32 values: <paramref name="codes"/> 16 bytes with values i and 16 + i in the halves of byte i, or 32 bytes. The rest as <see cref="Scales"/> says.</summary>
    static abstract void Unpack(byte* block, byte* codes, in RawScales scales);
}

/// <summary>The numbers of one stored block: scales and minimums [values / Group] as F16 or bytes, factors [2] as F16 (of the scales, of the minimums).</summary>
internal readonly unsafe ref struct RawScales(ushort* scales, ushort* minimums, ushort* factors)
{
    public readonly ushort* Scales = scales, Minimums = minimums, Factors = factors;
}

/// <summary>Tables of nibble types.</summary>
internal static class CodeTables
{
    /// <summary>0 … 15.</summary>
    public static readonly float[] Unsigned = [.. Enumerable.Range(0, 16).Select(i => (float)i)];

    /// <summary>−8 … 7.</summary>
    public static readonly float[] Centered = [.. Enumerable.Range(-8, 16).Select(i => (float)i)];
}
