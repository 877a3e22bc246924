using System.Runtime.Intrinsics;

namespace Tare.Capture.Statistics;

/// <summary>Moments of several columns over the same rows, eight columns at a time.</summary>
public sealed class ColumnMoments
{
    private const int Lanes = 8;

    private readonly int _padded;
    private readonly double[] _values; // [6, padded]: mean, M2, M3, M4, min, max

    /// <summary>No rows yet.</summary>
    public ColumnMoments(int columns)
    {
        Columns = columns;
        _padded = Padded(columns);
        _values = new double[6 * _padded];
        Clear();
    }

    /// <summary>Columns.</summary>
    public int Columns { get; }

    /// <summary>Rows so far.</summary>
    public long Count { get; private set; }

    /// <summary>The moments of a column.</summary>
    public Moments this[int column]
    {
        get => new(Count, At(0, column), At(1, column), At(2, column), At(3, column), At(4, column), At(5, column));
        private set => (At(0, column), At(1, column), At(2, column), At(3, column), At(4, column), At(5, column)) = (value.Mean, value.M2, value.M3, value.M4, value.Min, value.Max);
    }

    /// <summary>Elements that a row handed to <see cref="Push"/> must have: the columns, rounded up to whole vectors.</summary>
    public static int Padded(int columns) => (columns + Lanes - 1) / Lanes * Lanes;

    /// <summary>Adds a row: <paramref name="row"/> [<see cref="Padded"/>] (Pébay 2008, equations 2.6 – 2.9 for one value).</summary>
    public void Push(ReadOnlySpan<double> row)
    {
        double n1 = Count, n = ++Count;
        Vector512<double> inverse = Vector512.Create(1 / n), previous = Vector512.Create(n1), shrunk = Vector512.Create(n - 2), fourth = Vector512.Create(n * n - 3 * n + 3);
        for (int i = 0; i < _padded; i += Lanes)
        {
            Span<double> means = _values.AsSpan(i), m2s = _values.AsSpan(_padded + i), m3s = _values.AsSpan(2 * _padded + i), m4s = _values.AsSpan(3 * _padded + i), minima = _values.AsSpan(4 * _padded + i), maxima = _values.AsSpan(5 * _padded + i);
            Vector512<double> x = Vector512.Create(row[i..]), mean = Vector512.Create<double>(means), m2 = Vector512.Create<double>(m2s), m3 = Vector512.Create<double>(m3s), m4 = Vector512.Create<double>(m4s);
            var d = x - mean;
            var dn = d * inverse;
            var t = d * dn * previous;
            m4 += t * dn * dn * fourth + Vector512.Create(6.0) * dn * dn * m2 - Vector512.Create(4.0) * dn * m3;
            m3 += t * dn * shrunk - Vector512.Create(3.0) * dn * m2;
            (mean + dn).CopyTo(means);
            (m2 + t).CopyTo(m2s);
            m3.CopyTo(m3s);
            m4.CopyTo(m4s);
            Vector512.Min(Vector512.Create<double>(minima), x).CopyTo(minima);
            Vector512.Max(Vector512.Create<double>(maxima), x).CopyTo(maxima);
        }
    }

    /// <summary>Adds the rows of another, which come after these.</summary>
    public void Merge(ColumnMoments later)
    {
        if (later.Columns != Columns) throw new ArgumentException($"{later.Columns} columns don't fit {Columns}");
        if (later.Count == 0) return;
        for (int c = 0; c < Columns; c++) this[c] = Moments.Merge(this[c], later[c]);
        Count += later.Count;
    }

    /// <summary>Adds <paramref name="rows"/> rows that come after these: <paramref name="later"/> [6, padded] holds mean, M2, M3, M4, min, max of each column. The formulas of <see cref="Moments.Merge"/> on eight columns.</summary>
    internal void Merge(int rows, ReadOnlySpan<double> later)
    {
        if (Count == 0) later[.._values.Length].CopyTo(_values);
        else
            for (int i = 0; i < _padded; i += Lanes) Merge(rows, later, i);
        Count += rows;
    }

    private void Merge(int rows, ReadOnlySpan<double> later, int at)
    {
        double a = Count, b = rows;
        Vector512<double> na = Vector512.Create(a), nb = Vector512.Create(b), ab = na * nb, mean = A(0), d = B(later, 0) - mean, dn = d / Vector512.Create(a + b), m2a = A(1), m2b = B(later, 1), m3a = A(2), m3b = B(later, 2);
        Vector512<double> three = Vector512.Create(3.0), four = Vector512.Create(4.0), six = Vector512.Create(6.0);
        var m4 = A(3) + B(later, 3) + d * dn * dn * dn * ab * (na * na - ab + nb * nb) + six * dn * dn * (na * na * m2b + nb * nb * m2a) + four * dn * (na * m3b - nb * m3a);
        Put(0, mean + dn * nb);
        Put(1, m2a + m2b + d * dn * ab);
        Put(2, m3a + m3b + d * dn * dn * ab * (na - nb) + three * dn * (na * m2b - nb * m2a));
        Put(3, m4);
        Put(4, Vector512.Min(A(4), B(later, 4)));
        Put(5, Vector512.Max(A(5), B(later, 5)));

        Vector512<double> A(int moment) => Vector512.Create<double>(_values.AsSpan(moment * _padded + at));
        Vector512<double> B(ReadOnlySpan<double> source, int moment) => Vector512.Create(source[(moment * _padded + at)..]);
        void Put(int moment, Vector512<double> value) => value.CopyTo(_values.AsSpan(moment * _padded + at));
    }

    /// <summary>Forgets all rows.</summary>
    internal void Clear()
    {
        Count = 0;
        _values.AsSpan(0, 4 * _padded).Clear();
        _values.AsSpan(4 * _padded, _padded).Fill(double.PositiveInfinity);
        _values.AsSpan(5 * _padded, _padded).Fill(double.NegativeInfinity);
    }

    /// <summary>[columns, 7]: count, mean, M2, M3, M4, min, max.</summary>
    public void CopyTo(Span<double> target)
    {
        for (int c = 0; c < Columns; c++)
        {
            var m = this[c];
            new[] { m.Count, m.Mean, m.M2, m.M3, m.M4, m.Min, m.Max }.CopyTo(target[(7 * c)..]);
        }
    }

    /// <summary>The reverse of <see cref="CopyTo"/>.</summary>
    public static ColumnMoments From(ReadOnlySpan<double> source)
    {
        var result = new ColumnMoments(source.Length / 7) { Count = (long)source[0] };
        for (int c = 0; c < result.Columns; c++) result[c] = Read(source[(7 * c)..]);
        return result;
    }

    /// <summary>Seven numbers as moments.</summary>
    public static Moments Read(ReadOnlySpan<double> source) => new(source[0], source[1], source[2], source[3], source[4], source[5], source[6]);

    private ref double At(int moment, int column) => ref _values[moment * _padded + column];
}
