using System.Runtime.Intrinsics;

namespace Tare.Capture.Statistics;

/// <summary>Mean, sum of squared deviations and largest magnitude of each channel over rows.</summary>
public sealed class ChannelMoments
{
    private readonly double[] _values; // [3, width]

    /// <summary>No rows yet.</summary>
    public ChannelMoments(int width) => (Width, _values) = (width, new double[3 * width]);

    /// <summary>Channels.</summary>
    public int Width { get; }

    /// <summary>Rows so far.</summary>
    public long Count { get; private set; }

    /// <summary>[width] means.</summary>
    public ReadOnlySpan<double> Mean => _values.AsSpan(0, Width);

    /// <summary>[width] sums of squared deviations.</summary>
    public ReadOnlySpan<double> M2 => _values.AsSpan(Width, Width);

    /// <summary>[width] largest magnitudes.</summary>
    public ReadOnlySpan<double> Largest => _values.AsSpan(2 * Width, Width);

    /// <summary>[3, width]: mean, M2, largest magnitude.</summary>
    public ReadOnlySpan<double> Values => _values;

    /// <summary>Adds a row [width] (Welford 1962), eight channels at a time.</summary>
    public void Push(ReadOnlySpan<float> row)
    {
        double inverse = 1.0 / ++Count;
        Span<double> mean = _values.AsSpan(0, Width), m2 = _values.AsSpan(Width, Width), largest = _values.AsSpan(2 * Width, Width);
        var scale = Vector512.Create(inverse);
        int i = 0;
        for (; i <= Width - Vector256<float>.Count; i += Vector256<float>.Count)
        {
            var (low, high) = Vector256.Widen(Vector256.Create(row[i..]));
            Vector512<double> x = Vector512.Create(low, high), old = Vector512.Create<double>(mean[i..]), d = x - old, now = old + d * scale;
            now.CopyTo(mean[i..]);
            (Vector512.Create<double>(m2[i..]) + d * (x - now)).CopyTo(m2[i..]);
            Vector512.Max(Vector512.Create<double>(largest[i..]), Vector512.Abs(x)).CopyTo(largest[i..]);
        }
        for (; i < Width; i++)
        {
            double x = row[i], d = x - mean[i];
            mean[i] += d * inverse;
            m2[i] += d * (x - mean[i]);
            largest[i] = Math.Max(largest[i], Math.Abs(x));
        }
    }

    /// <summary>Forgets all rows.</summary>
    internal void Clear()
    {
        Count = 0;
        Array.Clear(_values);
    }

    /// <summary>Adds the rows of another, which come after these (Chan et al. 1979).</summary>
    public void Merge(ChannelMoments later)
    {
        if (later.Width != Width) throw new ArgumentException($"{later.Width} channels don't fit {Width}");
        if (later.Count == 0) return;
        if (Count == 0)
        {
            later._values.CopyTo(_values, 0);
            Count = later.Count;
            return;
        }
        double a = Count, b = later.Count, n = a + b;
        for (int i = 0; i < Width; i++)
        {
            double d = later._values[i] - _values[i];
            _values[i] += d * b / n;
            _values[Width + i] += later._values[Width + i] + d * d * a * b / n;
            _values[2 * Width + i] = Math.Max(_values[2 * Width + i], later._values[2 * Width + i]);
        }
        Count += later.Count;
    }

    /// <summary>From [3, width] values.</summary>
    public static ChannelMoments From(long count, ReadOnlySpan<double> values)
    {
        var result = new ChannelMoments(values.Length / 3) { Count = count };
        values.CopyTo(result._values);
        return result;
    }
}
