using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Reference;

/// <summary>Ops that look at rows.</summary>
internal static class Observations
{
    public static void NormScale(NormScale op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        int group = types[0].Width / op.Spec.Groups;
        for (int i = 0; i < y[0].Length; i++)
        {
            var values = x[0].AsSpan(i * group, group);
            double mean = 0, squares = 0;
            if (op.Spec.Kind == NormKind.LayerNorm) foreach (double v in values) mean += v / group;
            foreach (double v in values) squares += (v - mean) * (v - mean);
            y[0][i] = Math.Sqrt((op.Spec.Kind == NormKind.Static ? 0 : squares / group) + op.Spec.Epsilon);
        }
    }

    public static void RowStatistics(RowStatistics op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        int width = types[0].Width;
        double[]? probes = op.Probes is null ? null : step.Weights.Get(op.Probes);
        for (int r = 0; r < x[0].Length / width; r++)
        {
            var row = x[0].AsSpan(r * width, width);
            Describe(row, x.Length > 1 ? x[1].AsSpan(r * width, width) : default, y[0].AsSpan(r * RowRecord.Words, RowRecord.Words));
            for (int p = 0; p < (probes?.Length ?? 0) / width; p++)
                for (int i = 0; i < width; i++) y[0][r * RowRecord.Words + RowRecord.Probe0 + p] += row[i] * probes![p * width + i];
        }
    }

    private static void Describe(ReadOnlySpan<double> x, ReadOnlySpan<double> partner, Span<double> record)
    {
        record.Clear();
        double sum = 0, squares = 0, absolute = 0;
        for (int i = 0; i < x.Length; i++)
        {
            if (!double.IsFinite(x[i])) record[RowRecord.NonFinite]++;
            sum += x[i];
            squares += x[i] * x[i];
            absolute += Math.Abs(x[i]);
            if (Math.Abs(x[i]) > record[RowRecord.Largest]) (record[RowRecord.Largest], record[RowRecord.LargestIndex]) = (Math.Abs(x[i]), i);
        }
        double mean = sum / x.Length, limit = RowRecord.OutlierFactor * Math.Sqrt(squares / x.Length);
        (record[RowRecord.Mean], record[RowRecord.MeanSquare], record[RowRecord.MeanAbsolute]) = (mean, squares / x.Length, absolute / x.Length);
        foreach (double v in x)
        {
            double square = (v - mean) * (v - mean);
            record[RowRecord.Moment2] += square / x.Length;
            record[RowRecord.Moment3] += square * (v - mean) / x.Length;
            record[RowRecord.Moment4] += square * square / x.Length;
            if (Math.Abs(v) > limit) record[RowRecord.Outliers]++;
        }
        if (partner.IsEmpty) return;
        (record[RowRecord.Energy], record[RowRecord.Sum]) = (squares, sum);
        for (int i = 0; i < x.Length; i++)
        {
            record[RowRecord.Product] += partner[i] * x[i];
            record[RowRecord.PartnerEnergy] += partner[i] * partner[i];
        }
    }
}
