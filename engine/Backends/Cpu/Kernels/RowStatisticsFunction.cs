using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>
/// The record of each row of [rows, width] → [rows, 16], in one pass over a row that is still in cache: sums of powers up to the fourth and extremes, the central moments from them. Where the mean is more than a quarter of the root mean
/// square, too much of the powers is the mean's, and a second pass sums about it.
/// </summary>
/// <remarks>
/// Sums run over 2 × 16 lanes in index order, the end of the row (padded with zeros) on the first 16, then the fixed tree. The end is read before the loop: a call behind it would keep the sums in memory. A search behind the pass finds
/// the index of the largest element; outliers and elements that are no numbers are counted only where there are some.
/// </remarks>
internal sealed unsafe class RowStatisticsFunction : RowFunction
{
    private const float FarMean = 1f / 16; // of the mean square

    private readonly float* _probes; // [count, width] or null
    private readonly int _width, _whole, _probeCount; // _whole: elements in whole vectors
    private readonly double _inverse; // 1 / width
    private readonly bool _hasPartner;

    public RowStatisticsFunction(KernelContext context, RowStatistics op, int width, bool hasPartner)
    {
        (_width, _whole, _inverse, _hasPartner) = (width, width / Lanes.Count * Lanes.Count, 1.0 / width, hasPartner);
        _probes = op.Probes is null ? null : context.Weights.Values(op.Probes).Pointer;
        _probeCount = op.Probes is null ? 0 : (int)op.Probes.Rows;
    }

    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++)
        {
            float* values = x[0][r], record = y[0][r];
            Vector512<float>.Zero.Store(record);
            var end = End(values);
            if (_hasPartner) Sums<Beside>(values, x[1][r], end, End(x[1][r]), record);
            else Sums<Alone>(values, values, end, end, record);
            if (record[RowRecord.Mean] * record[RowRecord.Mean] > FarMean * record[RowRecord.MeanSquare]) Moments(values, end, record);
            if (_hasPartner) record[RowRecord.Sum] = record[RowRecord.Mean] * _width;
            Count(values, record);
            for (int p = 0; p < _probeCount; p++) record[RowRecord.Probe0 + p] = Products.Dot(_probes + (long)p * _width, values, _width);
        }
    }

    // What is left behind the whole vectors, with zeros behind it.
    private Vector512<float> End(float* x) => _whole < _width ? Lanes.Load(x + _whole, _width - _whole) : default;

    // The sums of x; beside a partner also Σx₀x and Σx₀².
    private void Sums<TForm>(float* x, float* partner, Vector512<float> end, Vector512<float> partnerEnd, float* record) where TForm : struct
    {
        Vector512<float> sumA = default, sumB = default, squaresA = default, squaresB = default, absoluteA = default, absoluteB = default, largestA = default, largestB = default;
        Vector512<float> thirdA = default, thirdB = default, fourthA = default, fourthB = default, productA = default, productB = default, energyA = default, energyB = default;
        int i = 0;
        for (; i <= _whole - 32; i += 32)
        {
            Vector512<float> a = Vector512.Load(x + i), b = Vector512.Load(x + i + 16), a2 = a * a, b2 = b * b;
            if (typeof(TForm) == typeof(Beside))
            {
                Vector512<float> c = Vector512.Load(partner + i), d = Vector512.Load(partner + i + 16);
                productA = Vector512.FusedMultiplyAdd(a, c, productA);
                productB = Vector512.FusedMultiplyAdd(b, d, productB);
                energyA = Vector512.FusedMultiplyAdd(c, c, energyA);
                energyB = Vector512.FusedMultiplyAdd(d, d, energyB);
            }
            sumA += a;
            sumB += b;
            squaresA += a2;
            squaresB += b2;
            thirdA = Vector512.FusedMultiplyAdd(a2, a, thirdA);
            thirdB = Vector512.FusedMultiplyAdd(b2, b, thirdB);
            fourthA = Vector512.FusedMultiplyAdd(a2, a2, fourthA);
            fourthB = Vector512.FusedMultiplyAdd(b2, b2, fourthB);
            a = Vector512.Abs(a);
            b = Vector512.Abs(b);
            absoluteA += a;
            absoluteB += b;
            largestA = Vector512.MaxNative(largestA, a);
            largestB = Vector512.MaxNative(largestB, b);
        }
        Vector512<float> last = i < _whole ? Vector512.Load(x + i) : default, last2 = last * last, end2 = end * end;
        if (typeof(TForm) == typeof(Beside))
        {
            var partnerLast = i < _whole ? Vector512.Load(partner + i) : default;
            productA = Vector512.FusedMultiplyAdd(end, partnerEnd, Vector512.FusedMultiplyAdd(last, partnerLast, productA));
            energyA = Vector512.FusedMultiplyAdd(partnerEnd, partnerEnd, Vector512.FusedMultiplyAdd(partnerLast, partnerLast, energyA));
            record[RowRecord.Product] = Lanes.Sum(productA + productB);
            record[RowRecord.PartnerEnergy] = Lanes.Sum(energyA + energyB);
        }
        thirdA = Vector512.FusedMultiplyAdd(end2, end, Vector512.FusedMultiplyAdd(last2, last, thirdA));
        fourthA = Vector512.FusedMultiplyAdd(end2, end2, Vector512.FusedMultiplyAdd(last2, last2, fourthA));
        Vector512<float> lastSize = Vector512.Abs(last), endSize = Vector512.Abs(end), largest = Vector512.MaxNative(Vector512.MaxNative(largestA, largestB), Vector512.MaxNative(lastSize, endSize));
        record[RowRecord.MeanAbsolute] = (float)(Lanes.Sum(absoluteA + lastSize + endSize + absoluteB) * _inverse);
        record[RowRecord.Largest] = Largest(largest);
        float squares = Lanes.Sum(squaresA + last2 + end2 + squaresB);
        if (typeof(TForm) == typeof(Beside)) record[RowRecord.Energy] = squares;
        double mean = Lanes.Sum(sumA + last + end + sumB) * _inverse, second = squares * _inverse, third = Lanes.Sum(thirdA + thirdB) * _inverse, fourth = Lanes.Sum(fourthA + fourthB) * _inverse, square = mean * mean;
        record[RowRecord.Mean] = (float)mean;
        record[RowRecord.MeanSquare] = (float)second;
        record[RowRecord.Moment2] = (float)(second - square);
        record[RowRecord.Moment3] = (float)(third - mean * (3 * second - 2 * square));
        record[RowRecord.Moment4] = (float)(fourth - mean * (4 * third - mean * (6 * second - 3 * square)));
    }

    private static float Largest(Vector512<float> values)
    {
        var eight = Vector256.MaxNative(values.GetLower(), values.GetUpper());
        var four = Vector128.MaxNative(eight.GetLower(), eight.GetUpper());
        four = Vector128.MaxNative(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return Vector128.MaxNative(four, Vector128.Shuffle(four, Vector128.Create(1, 0, 3, 2)))[0];
    }

    // About the rounded mean; what that is off by (the first moment about it) is taken out again in double.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Moments(float* x, Vector512<float> end, float* record)
    {
        var mean = Vector512.Create(record[RowRecord.Mean]);
        Vector512<float> firstA = default, firstB = default, secondA = default, secondB = default, thirdA = default, thirdB = default, fourthA = default, fourthB = default;
        int i = 0;
        for (; i <= _whole - 32; i += 32)
        {
            Vector512<float> a = Vector512.Load(x + i) - mean, b = Vector512.Load(x + i + 16) - mean, a2 = a * a, b2 = b * b;
            firstA += a;
            firstB += b;
            secondA += a2;
            secondB += b2;
            thirdA = Vector512.FusedMultiplyAdd(a2, a, thirdA);
            thirdB = Vector512.FusedMultiplyAdd(b2, b, thirdB);
            fourthA = Vector512.FusedMultiplyAdd(a2, a2, fourthA);
            fourthB = Vector512.FusedMultiplyAdd(b2, b2, fourthB);
        }
        Vector512<float> last = i < _whole ? Vector512.Load(x + i) - mean : default, last2 = last * last;
        end = Vector512.ConditionalSelect(Lanes.Mask(0, _width - _whole - 1), end - mean, Vector512<float>.Zero);
        var end2 = end * end;
        firstA = firstA + last + end;
        secondA = secondA + last2 + end2;
        thirdA = Vector512.FusedMultiplyAdd(end2, end, Vector512.FusedMultiplyAdd(last2, last, thirdA));
        fourthA = Vector512.FusedMultiplyAdd(end2, end2, Vector512.FusedMultiplyAdd(last2, last2, fourthA));
        double off = Lanes.Sum(firstA + firstB) * _inverse, second = Lanes.Sum(secondA + secondB) * _inverse, third = Lanes.Sum(thirdA + thirdB) * _inverse, fourth = Lanes.Sum(fourthA + fourthB) * _inverse;
        record[RowRecord.Mean] = (float)(record[RowRecord.Mean] + off);
        record[RowRecord.Moment2] = (float)(second - off * off);
        record[RowRecord.Moment3] = (float)(third - 3 * off * second + 2 * off * off * off);
        record[RowRecord.Moment4] = (float)(fourth - 4 * off * third + 6 * off * off * second - 3 * off * off * off * off);
    }

    private void Count(float* x, float* record)
    {
        if (!float.IsFinite(record[RowRecord.MeanAbsolute]))
            for (int i = 0; i < _width; i++)
                if (!float.IsFinite(x[i])) record[RowRecord.NonFinite]++;
        float largest = record[RowRecord.Largest], limit = RowRecord.OutlierFactor * MathF.Sqrt(record[RowRecord.MeanSquare]);
        record[RowRecord.LargestIndex] = IndexOf(x, largest);
        if (largest > limit) record[RowRecord.Outliers] = Above(x, limit);
    }

    // Elements of larger magnitude.
    private int Above(float* x, float limit)
    {
        var bound = Vector512.Create(limit);
        int i = 0, count = 0;
        for (; i < _whole; i += Lanes.Count) count += BitOperations.PopCount(Vector512.GreaterThan(Vector512.Abs(Vector512.Load(x + i)), bound).ExtractMostSignificantBits());
        for (; i < _width; i++)
            if (MathF.Abs(x[i]) > limit) count++;
        return count;
    }

    // The first element of this magnitude; 0 where there is none (a row of NaN).
    private int IndexOf(float* x, float magnitude)
    {
        var wanted = Vector512.Create(magnitude);
        int i = 0;
        for (; i < _whole; i += Lanes.Count)
        {
            ulong found = Vector512.Equals(Vector512.Abs(Vector512.Load(x + i)), wanted).ExtractMostSignificantBits();
            if (found != 0) return i + BitOperations.TrailingZeroCount(found);
        }
        for (; i < _width; i++)
            if (MathF.Abs(x[i]) == magnitude) return i;
        return 0;
    }

    // What a row is summed beside.
    private readonly struct Alone;

    private readonly struct Beside;
}
