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

    private readonly float[] _records = new float[Rows * RowRecord.Words]; // [64, 16]

    /// <summary>Records that it holds.</summary>
    public int Count { get; private set; }

    /// <summary>Adds a record [16].</summary>
    public void Add(ReadOnlySpan<float> record) => record.CopyTo(_records.AsSpan(RowRecord.Words * Count++, RowRecord.Words));

    /// <summary>
    /// Moves the batch into moments: <paramref name="facts"/> [facts, 64] and <paramref name="moments"/> (as <see cref="ColumnMoments.Merge(int, ReadOnlySpan{double})"/> takes them) are scratch, <paramref name="columns"/> and
    /// <paramref name="elements"/> take the rows, which come after theirs.
    /// </summary>
    public void Empty(int width, double[] facts, double[] moments, ColumnMoments columns, ref Moments elements)
    {
        if (Count == 0) return;
        for (int r = 0; r < Count; r += Lanes) Derive(r, width, facts);
        int padded = ColumnMoments.Padded(RowFacts.Count);
        for (int f = 0; f < RowFacts.Count; f++)
        {
            var m = MomentsOf(facts.AsSpan(f * Rows, Rows));
            (moments[f], moments[padded + f], moments[2 * padded + f], moments[3 * padded + f], moments[4 * padded + f], moments[5 * padded + f]) = (m.Mean, m.M2, m.M3, m.M4, m.Min, m.Max);
        }
        columns.Merge(Count, moments);
        elements = Moments.Merge(elements, ElementsOf(width, facts));
        Count = 0;
    }

    /// <summary>Forgets the records.</summary>
    public void Clear() => Count = 0;

    private Vector512<double> Word(int word, int row)
    {
        const int W = RowRecord.Words;
        var r = _records.AsSpan(row * W, Lanes * W);
        var values = Vector256.Create(r[word], r[W + word], r[2 * W + word], r[3 * W + word], r[4 * W + word], r[5 * W + word], r[6 * W + word], r[7 * W + word]);
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
        var angle = ArcCosine.Of(Vector512.Max(Vector512.Min(z / Vector512.Create(Math.Sqrt(width)), Vector512<double>.One), -Vector512<double>.One)) * Vector512.Create(180 / Math.PI);
        Put(RowFact.AngleToUniformDeg, Vector512.ConditionalSelect(Vector512.GreaterThan(l2, Vector512<double>.Zero), angle, Vector512<double>.Zero));

        void Put(RowFact fact, Vector512<double> value) => value.CopyTo(facts, (int)fact * Rows + row);
    }

    private static Vector512<double> Quotient(Vector512<double> a, Vector512<double> b) => Vector512.ConditionalSelect(Vector512.Equals(b, Vector512<double>.Zero), Vector512<double>.Zero, a / b);

    // Two passes over the values of a batch: lanes in index order, then the lanes by halves.
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
            minimum = Vector512.MinNative(minimum, v);
            maximum = Vector512.MaxNative(maximum, v);
        }
        double mean = Sum(sum) / Rows;
        Vector512<double> m2 = Vector512<double>.Zero, m3 = m2, m4 = m2, center = Vector512.Create(mean);
        for (int i = 0; i < Rows; i += Lanes)
        {
            Vector512<double> d = Vector512.Create<double>(values[i..]) - center, square = d * d;
            m2 += square;
            m3 += square * d;
            m4 += square * square;
        }
        return new Moments(Rows, mean, Sum(m2), Sum(m3), Sum(m4), -Largest(-minimum), Largest(maximum));
    }

    private static double Sum(Vector512<double> lanes)
    {
        var four = lanes.GetLower() + lanes.GetUpper();
        var two = four.GetLower() + four.GetUpper();
        return two[0] + two[1];
    }

    private static double Largest(Vector512<double> lanes)
    {
        var four = Vector256.MaxNative(lanes.GetLower(), lanes.GetUpper());
        var two = Vector128.MaxNative(four.GetLower(), four.GetUpper());
        return Math.Max(two[0], two[1]);
    }

    // All elements of the rows as one sample, from the rows' own central moments.
    private Moments ElementsOf(int width, double[] facts)
    {
        ReadOnlySpan<double> means = facts.AsSpan((int)RowFact.Mean * Rows, Count), second = facts.AsSpan((int)RowFact.Variance * Rows, Count), third = facts.AsSpan((int)RowFact.M3 * Rows, Count), fourth = facts.AsSpan((int)RowFact.M4 * Rows, Count), largest = facts.AsSpan((int)RowFact.AbsMax * Rows, Count);
        if (Count == Rows) return FullElements(width, means, second, third, fourth, largest);
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

    // The same, eight rows at a time.
    private static Moments FullElements(int width, ReadOnlySpan<double> means, ReadOnlySpan<double> second, ReadOnlySpan<double> third, ReadOnlySpan<double> fourth, ReadOnlySpan<double> largest)
    {
        var sum = Vector512<double>.Zero;
        for (int i = 0; i < Rows; i += Lanes) sum += Vector512.Create(means[i..]);
        double mean = Sum(sum) / Rows;
        Vector512<double> center = Vector512.Create(mean), m2 = Vector512<double>.Zero, m3 = m2, m4 = m2, extreme = m2, three = Vector512.Create(3.0), four = Vector512.Create(4.0), six = Vector512.Create(6.0);
        for (int i = 0; i < Rows; i += Lanes)
        {
            Vector512<double> d = Vector512.Create(means[i..]) - center, square = d * d, s = Vector512.Create(second[i..]), t = Vector512.Create(third[i..]);
            m2 += s + square;
            m3 += t + d * (three * s + square);
            m4 += Vector512.Create(fourth[i..]) + four * d * t + square * (six * s + square);
            extreme = Vector512.MaxNative(extreme, Vector512.Create(largest[i..]));
        }
        double bound = Largest(extreme);
        return new Moments((double)width * Rows, mean, width * Sum(m2), width * Sum(m3), width * Sum(m4), -bound, bound);
    }
}
