using System.Collections.Immutable;
using Tare.Graphs.Ops;

namespace Tare.Capture.Statistics;

/// <summary>What is derived from a row's record, in double; each is a column of the statistics. Quotients of 0 by 0 count as 0.</summary>
public enum RowFact
{
    /// <summary>Σx / d.</summary>
    Mean,

    /// <summary>Σ(x − mean)² / d.</summary>
    Variance,

    /// <summary>√(Σx² / d).</summary>
    Rms,

    /// <summary>√Σx².</summary>
    L2,

    /// <summary>Σ(x − mean)³ / d.</summary>
    M3,

    /// <summary>Σ(x − mean)⁴ / d.</summary>
    M4,

    /// <summary>m3 / variance^1.5.</summary>
    Skewness,

    /// <summary>m4 / variance² − 3.</summary>
    ExcessKurtosis,

    /// <summary>Σ|x| / d.</summary>
    MeanAbs,

    /// <summary>Largest |x|.</summary>
    AbsMax,

    /// <summary>Angle between x and the all-ones vector, 0 … 180 degrees (arXiv 2409.12951).</summary>
    AngleToUniformDeg,

    /// <summary>√d · cosine of that angle = Σx / L2: standard normal for random directions.</summary>
    UniformZ,

    /// <summary>(Σx²)² / Σx⁴: the effective number of channels, 1 … d.</summary>
    Participation,

    /// <summary>Largest |x| / rms.</summary>
    Crest,

    /// <summary>Channels with |x| > 6 rms (arXiv 2405.19279).</summary>
    Over6Rms,

    /// <summary>Length of x / length of what it is added to (for a norm: of its input).</summary>
    NormRatioToStream,

    /// <summary>cos(x, what it is added to); below 0 the sublayer erases. For a norm: how far it turns the row.</summary>
    CosineWithStream,

    /// <summary>cos(stream before the sum, stream after).</summary>
    CosineOfStreamBeforeAfter,

    /// <summary>First probe · x.</summary>
    Probe0,

    /// <summary>Second probe · x.</summary>
    Probe1,
}

/// <summary>Derives the facts of a row.</summary>
public static class RowFacts
{
    /// <summary>Number of facts.</summary>
    public static int Count { get; } = Enum.GetValues<RowFact>().Length;

    /// <summary>Names as files and tables have them: <c>excess_kurtosis</c>.</summary>
    public static ImmutableArray<string> Names { get; } = [.. Enum.GetNames<RowFact>().Select(Snake)];

    /// <summary>Whether a fact needs a second row.</summary>
    public static bool NeedsPartner(RowFact fact) => fact is RowFact.NormRatioToStream or RowFact.CosineWithStream or RowFact.CosineOfStreamBeforeAfter;

    /// <summary>Facts of a record of a row of <paramref name="width"/> elements into <paramref name="facts"/> [at least <see cref="Count"/>].</summary>
    public static void Derive<T>(ReadOnlySpan<T> record, int width, Span<double> facts) where T : System.Numerics.INumber<T>
    {
        double mean = Word(record, RowRecord.Mean), square = Word(record, RowRecord.MeanSquare), m2 = Word(record, RowRecord.Moment2), m3 = Word(record, RowRecord.Moment3), m4 = Word(record, RowRecord.Moment4);
        double rms = Math.Sqrt(square), l2 = Math.Sqrt(square * width), root = Math.Sqrt(width), largest = Word(record, RowRecord.Largest), z = Quotient(mean * width, l2);
        double fourth = m4 + mean * (4 * m3 + mean * (6 * m2 + mean * mean)); // Σx⁴ / d
        facts[(int)RowFact.Mean] = mean;
        facts[(int)RowFact.Variance] = m2;
        facts[(int)RowFact.Rms] = rms;
        facts[(int)RowFact.L2] = l2;
        facts[(int)RowFact.M3] = m3;
        facts[(int)RowFact.M4] = m4;
        facts[(int)RowFact.Skewness] = Quotient(m3, m2 * Math.Sqrt(m2));
        facts[(int)RowFact.ExcessKurtosis] = m2 > 0 ? m4 / (m2 * m2) - 3 : 0;
        facts[(int)RowFact.MeanAbs] = Word(record, RowRecord.MeanAbsolute);
        facts[(int)RowFact.AbsMax] = largest;
        facts[(int)RowFact.AngleToUniformDeg] = l2 > 0 ? Math.Acos(Math.Clamp(z / root, -1, 1)) * (180 / Math.PI) : 0;
        facts[(int)RowFact.UniformZ] = z;
        facts[(int)RowFact.Participation] = Quotient(width * square * square, fourth);
        facts[(int)RowFact.Crest] = Quotient(largest, rms);
        facts[(int)RowFact.Over6Rms] = Word(record, RowRecord.Outliers);
        double energy = Word(record, RowRecord.Energy), product = Word(record, RowRecord.Product), partner = Word(record, RowRecord.PartnerEnergy);
        facts[(int)RowFact.NormRatioToStream] = Quotient(Math.Sqrt(energy), Math.Sqrt(partner));
        facts[(int)RowFact.CosineWithStream] = Quotient(product, Math.Sqrt(energy) * Math.Sqrt(partner));
        facts[(int)RowFact.CosineOfStreamBeforeAfter] = Quotient(partner + product, Math.Sqrt(partner) * Math.Sqrt(Math.Max(0, partner + 2 * product + energy)));
        facts[(int)RowFact.Probe0] = Word(record, RowRecord.Probe0);
        facts[(int)RowFact.Probe1] = Word(record, RowRecord.Probe1);
    }

    private static double Word<T>(ReadOnlySpan<T> record, int word) where T : System.Numerics.INumber<T> => double.CreateTruncating(record[word]);

    private static double Quotient(double a, double b) => b == 0 ? 0 : a / b;

    private static string Snake(string name) => string.Concat(name.Select((c, i) => (char.IsUpper(c) && i > 0) || (char.IsDigit(c) && i > 0 && name is not ("L2" or "M3" or "M4") && !char.IsDigit(name[i - 1])) ? $"_{char.ToLowerInvariant(c)}" : $"{char.ToLowerInvariant(c)}"));
}
