using System.Runtime.Intrinsics;
using Tare.Graphs.Ops;

namespace Tare.Capture.Statistics;

/// <summary>
/// Up to 64 records of one site and group, side by side, and what they have in common: facts of eight rows at a time, moments in two passes over the batch. Batches are cut by the count of rows alone, so the bits do not
/// depend on how rows arrived.
/// </summary>
internal sealed class RowBatch
{
    /// <summary>Rows of a batch.</summary>
    public const int Rows = 64;

    private const int Lanes = 8;

    private readonly float[] _words = new float[RowRecord.Words * Rows]; // [16, 64]

    /// <summary>Records that it holds.</summary>
    public int Count { get; private set; }

    /// <summary>Adds a record [16].</summary>
    public void Add(ReadOnlySpan<float> record)
    {
        for (int w = 0; w < RowRecord.Words; w++) _words[w * Rows + Count] = record[w];
        Count++;
    }

    /// <summary>Moves the batch into moments: <paramref name="facts"/> [facts, 64] is scratch, <paramref name="columns"/> and <paramref name="elements"/> take the rows, which come after theirs.</summary>
    public void Empty(int width, double[] facts, ColumnMoments columns, ref Moments elements)
    {
        if (Count == 0) return;
        for (int r = 0; r < Count; r += Lanes) Derive(r, width, facts);
        for (int f = 0; f < RowFacts.Count; f++) columns.Merge(f, MomentsOf(facts.AsSpan(f * Rows, Rows)));
        columns.AddCount(Count);
        elements = Moments.Merge(elements, ElementsOf(width, facts));
        Count = 0;
    }

    private Vector512<double> Word(int word, int row)
    {
        var values = Vector256.Create(_words.AsSpan(word * Rows + row, Lanes));
        var (low, high) = Vector256.Widen(values);
        return Vector512.Create(low, high);
    }

    // The formulas of RowFacts.Derive on eight rows.
    private void Derive(int row, int width, double[] facts)
    {
        Vector512<double> d = Vector512.Create((double)width), mean = Word(RowRecord.Mean, row), square = Word(RowRecord.MeanSquare, row), m2 = Word(RowRecord.Moment2, row), m3 = Word(RowRecord.Moment3, row), m4 = Word(RowRecord.Moment4, row);
        Vector512<double> rms = Vector512.Sqrt(square), l2 = Vector512.Sqrt(square * d), largest = Word(RowRecord.Largest, row), z = Quotient(mean * d, l2);
        var fourth = m4 + mean * (Vector512.Create(4.0) * m3 + mean * (Vector512.Create(6.0) * m2 + mean * mean));
        Vector512<double> energy = Word(RowRecord.Energy, row), product = Word(RowRecord.Product, row), partner = Word(RowRecord.PartnerEnergy, row), length = Vector512.Sqrt(energy), other = Vector512.Sqrt(partner);
        Put(RowFact.Mean, mean);
        Put(RowFact.Variance, m2);
        Put(RowFact.Rms, rms);
        Put(RowFact.L2, l2);
        Put(RowFact.M3, m3);
        Put(RowFact.M4, m4);
        Put(RowFact.Skewness, Quotient(m3, m2 * Vector512.Sqrt(m2)));
        Put(RowFact.ExcessKurtosis, Vector512.ConditionalSelect(Vector512.GreaterThan(m2, Vector512<double>.Zero), m4 / (m2 * m2) - Vector512.Create(3.0), Vector512<double>.Zero));
        Put(RowFact.MeanAbs, Word(RowRecord.MeanAbsolute, row));
        Put(RowFact.AbsMax, largest);
        Put(RowFact.UniformZ, z);
        Put(RowFact.Participation, Quotient(d * square * square, fourth));
        Put(RowFact.Crest, Quotient(largest, rms));
        Put(RowFact.Over6Rms, Word(RowRecord.Outliers, row));
        Put(RowFact.NormRatioToStream, Quotient(length, other));
        Put(RowFact.CosineWithStream, Quotient(product, length * other));
        Put(RowFact.CosineOfStreamBeforeAfter, Quotient(partner + product, other * Vector512.Sqrt(Vector512.Max(Vector512<double>.Zero, partner + Vector512.Create(2.0) * product + energy))));
        Put(RowFact.Probe0, Word(RowRecord.Probe0, row));
        Put(RowFact.Probe1, Word(RowRecord.Probe1, row));
        double root = Math.Sqrt(width);
        for (int i = row; i < Math.Min(row + Lanes, Count); i++)
            facts[(int)RowFact.AngleToUniformDeg * Rows + i] = facts[(int)RowFact.L2 * Rows + i] > 0 ? Math.Acos(Math.Clamp(facts[(int)RowFact.UniformZ * Rows + i] / root, -1, 1)) * (180 / Math.PI) : 0;

        void Put(RowFact fact, Vector512<double> value) => value.CopyTo(facts, (int)fact * Rows + row);
    }

    private static Vector512<double> Quotient(Vector512<double> a, Vector512<double> b) => Vector512.ConditionalSelect(Vector512.Equals(b, Vector512<double>.Zero), Vector512<double>.Zero, a / b);

    // Two passes over the values of a batch: lanes in index order, then the lanes from first to last.
    private Moments MomentsOf(Span<double> values)
    {
        double n = Count, minimum = double.PositiveInfinity, maximum = double.NegativeInfinity;
        if (Count == Rows) return Full(values);
        double sum = 0, m2 = 0, m3 = 0, m4 = 0;
        for (int i = 0; i < Count; i++)
        {
            sum += values[i];
            (minimum, maximum) = (Math.Min(minimum, values[i]), Math.Max(maximum, values[i]));
        }
        double mean = sum / n;
        for (int i = 0; i < Count; i++)
        {
            double d = values[i] - mean, square = d * d;
            m2 += square;
            m3 += square * d;
            m4 += square * square;
        }
        return new Moments(n, mean, m2, m3, m4, minimum, maximum);
    }

    private static Moments Full(Span<double> values)
    {
        Vector512<double> sum = Vector512<double>.Zero, minimum = Vector512.Create<double>(values), maximum = minimum;
        for (int i = 0; i < Rows; i += Lanes)
        {
            var v = Vector512.Create<double>(values[i..]);
            sum += v;
            minimum = Vector512.Min(minimum, v);
            maximum = Vector512.Max(maximum, v);
        }
        double mean = Sum(sum) / Rows, low = double.PositiveInfinity, high = double.NegativeInfinity;
        Vector512<double> m2 = Vector512<double>.Zero, m3 = m2, m4 = m2, center = Vector512.Create(mean);
        for (int i = 0; i < Rows; i += Lanes)
        {
            Vector512<double> d = Vector512.Create<double>(values[i..]) - center, square = d * d;
            m2 += square;
            m3 += square * d;
            m4 += square * square;
        }
        for (int i = 0; i < Lanes; i++) (low, high) = (Math.Min(low, minimum[i]), Math.Max(high, maximum[i]));
        return new Moments(Rows, mean, Sum(m2), Sum(m3), Sum(m4), low, high);
    }

    private static double Sum(Vector512<double> lanes)
    {
        double sum = 0;
        for (int i = 0; i < Lanes; i++) sum += lanes[i];
        return sum;
    }

    // All elements of the rows as one sample, from the rows' own central moments.
    private Moments ElementsOf(int width, double[] facts)
    {
        ReadOnlySpan<double> means = facts.AsSpan((int)RowFact.Mean * Rows, Count), second = facts.AsSpan((int)RowFact.Variance * Rows, Count), third = facts.AsSpan((int)RowFact.M3 * Rows, Count), fourth = facts.AsSpan((int)RowFact.M4 * Rows, Count), largest = facts.AsSpan((int)RowFact.AbsMax * Rows, Count);
        double mean = 0, m2 = 0, m3 = 0, m4 = 0, extreme = 0;
        foreach (double m in means) mean += m;
        mean /= Count;
        for (int i = 0; i < means.Length; i++)
        {
            double d = means[i] - mean, square = d * d;
            m2 += second[i] + square;
            m3 += third[i] + d * (3 * second[i] + square);
            m4 += fourth[i] + 4 * d * third[i] + square * (6 * second[i] + square);
            extreme = Math.Max(extreme, largest[i]);
        }
        // The smallest and largest element are not in the record; their magnitude is.
        return new Moments((double)width * Count, mean, width * m2, width * m3, width * m4, -extreme, extreme);
    }
}
