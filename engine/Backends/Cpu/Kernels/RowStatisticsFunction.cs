using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>The record of each row of [rows, width] → [rows, 16], in two passes over a row that is still in cache: sums and extremes, then the central moments about the mean of the first.</summary>
/// <remarks>
/// Sums run over 2 × 16 lanes in index order, then the fixed tree. Counting (elements that are no numbers, outliers) and the index of the largest element cost a third pass only where there is something to count, and an
/// early exit.
/// </remarks>
internal sealed unsafe class RowStatisticsFunction : RowFunction
{
    private readonly float* _probes; // [count, width] or null
    private readonly int _width, _probeCount;
    private readonly bool _hasPartner;

    public RowStatisticsFunction(KernelContext context, RowStatistics op, int width, bool hasPartner)
    {
        (_width, _hasPartner) = (width, hasPartner);
        _probes = op.Probes is null ? null : context.Weights.Values(op.Probes).Pointer;
        _probeCount = op.Probes is null ? 0 : (int)op.Probes.Rows;
    }

    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++)
        {
            float* values = x[0][r], record = y[0][r];
            new Span<float>(record, RowRecord.Words).Clear();
            Sums(values, record);
            Moments(values, record);
            Count(values, record);
            if (_hasPartner) Compare(values, x[1][r], record);
            for (int p = 0; p < _probeCount; p++) record[RowRecord.Probe0 + p] = Products.Dot(_probes + (long)p * _width, values, _width);
        }
    }

    private void Sums(float* x, float* record)
    {
        Vector512<float> sumA = default, sumB = default, squaresA = default, squaresB = default, absoluteA = default, absoluteB = default, largestA = default, largestB = default;
        int i = 0;
        for (; i + 32 <= _width; i += 32)
        {
            Vector512<float> a = Vector512.Load(x + i), b = Vector512.Load(x + i + 16);
            sumA += a;
            sumB += b;
            squaresA = Vector512.FusedMultiplyAdd(a, a, squaresA);
            squaresB = Vector512.FusedMultiplyAdd(b, b, squaresB);
            a = Vector512.Abs(a);
            b = Vector512.Abs(b);
            absoluteA += a;
            absoluteB += b;
            largestA = Vector512.MaxNative(largestA, a);
            largestB = Vector512.MaxNative(largestB, b);
        }
        for (; i < _width; i += Lanes.Count)
        {
            var a = Lanes.Load(x + i, _width - i);
            sumA += a;
            squaresA = Vector512.FusedMultiplyAdd(a, a, squaresA);
            a = Vector512.Abs(a);
            absoluteA += a;
            largestA = Vector512.MaxNative(largestA, a);
        }
        record[RowRecord.Mean] = Lanes.Sum(sumA + sumB) / _width;
        record[RowRecord.MeanSquare] = Lanes.Sum(squaresA + squaresB) / _width;
        record[RowRecord.MeanAbsolute] = Lanes.Sum(absoluteA + absoluteB) / _width;
        record[RowRecord.Largest] = Lanes.Max(Vector512.MaxNative(largestA, largestB));
    }

    // About the rounded mean; what that is off by (the first moment about it) is taken out again in double.
    private void Moments(float* x, float* record)
    {
        var mean = Vector512.Create(record[RowRecord.Mean]);
        Vector512<float> firstA = default, firstB = default, secondA = default, secondB = default, thirdA = default, thirdB = default, fourthA = default, fourthB = default;
        int i = 0;
        for (; i + 32 <= _width; i += 32)
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
        for (; i < _width; i += Lanes.Count)
        {
            int count = _width - i;
            var a = Lanes.Load(x + i, count) - mean;
            if (count < Lanes.Count) a = Vector512.ConditionalSelect(Lanes.Mask(0, count - 1), a, Vector512<float>.Zero);
            var a2 = a * a;
            firstA += a;
            secondA += a2;
            thirdA = Vector512.FusedMultiplyAdd(a2, a, thirdA);
            fourthA = Vector512.FusedMultiplyAdd(a2, a2, fourthA);
        }
        double off = (double)Lanes.Sum(firstA + firstB) / _width, second = (double)Lanes.Sum(secondA + secondB) / _width, third = (double)Lanes.Sum(thirdA + thirdB) / _width, fourth = (double)Lanes.Sum(fourthA + fourthB) / _width;
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
        if (largest > limit)
            for (int i = 0; i < _width; i++)
                if (MathF.Abs(x[i]) > limit) record[RowRecord.Outliers]++;
    }

    // The first element of this magnitude; 0 where there is none (a row of NaN).
    private int IndexOf(float* x, float magnitude)
    {
        var wanted = Vector512.Create(magnitude);
        int i = 0;
        for (; i + Lanes.Count <= _width; i += Lanes.Count)
        {
            ulong found = Vector512.Equals(Vector512.Abs(Vector512.Load(x + i)), wanted).ExtractMostSignificantBits();
            if (found != 0) return i + System.Numerics.BitOperations.TrailingZeroCount(found);
        }
        for (; i < _width; i++)
            if (MathF.Abs(x[i]) == magnitude) return i;
        return 0;
    }

    private void Compare(float* x, float* partner, float* record)
    {
        Vector512<float> productA = default, productB = default, energyA = default, energyB = default;
        int i = 0;
        for (; i + 32 <= _width; i += 32)
        {
            Vector512<float> a = Vector512.Load(partner + i), b = Vector512.Load(partner + i + 16);
            productA = Vector512.FusedMultiplyAdd(a, Vector512.Load(x + i), productA);
            productB = Vector512.FusedMultiplyAdd(b, Vector512.Load(x + i + 16), productB);
            energyA = Vector512.FusedMultiplyAdd(a, a, energyA);
            energyB = Vector512.FusedMultiplyAdd(b, b, energyB);
        }
        for (; i < _width; i += Lanes.Count)
        {
            var a = Lanes.Load(partner + i, _width - i);
            productA = Vector512.FusedMultiplyAdd(a, Lanes.Load(x + i, _width - i), productA);
            energyA = Vector512.FusedMultiplyAdd(a, a, energyA);
        }
        record[RowRecord.Energy] = record[RowRecord.MeanSquare] * _width;
        record[RowRecord.Sum] = record[RowRecord.Mean] * _width;
        record[RowRecord.Product] = Lanes.Sum(productA + productB);
        record[RowRecord.PartnerEnergy] = Lanes.Sum(energyA + energyB);
    }
}
