using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Reference;

/// <summary>Ops that only move elements or rows.</summary>
internal static class Columns
{
    public static void Split(Split op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step) => SplitGroups(new SplitGroups(1, op.Widths), types, x, y, step);

    public static void SplitGroups(SplitGroups op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        int group = types[0].Width / op.Groups, start = 0;
        for (int k = 0; k < y.Length; start += op.Widths[k++])
            for (int g = 0; g < x[0].Length / group; g++)
                Array.Copy(x[0], g * group + start, y[k], g * op.Widths[k], op.Widths[k]);
    }

    public static void JoinGroups(JoinGroups op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        int[] widths = [.. types.Select(t => t.Width / op.Groups)];
        int group = widths.Sum(), start = 0;
        for (int k = 0; k < x.Length; start += widths[k++])
            for (int g = 0; g < y[0].Length / group; g++)
                Array.Copy(x[k], g * widths[k], y[0], g * group + start, widths[k]);
    }

    public static void SelectRows(SelectRows op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        for (int r = 0; r < step.OutputRows.Length; r++) Array.Copy(x[0], step.OutputRows[r] * types[0].Width, y[0], r * types[0].Width, types[0].Width);
    }

    public static void Pool(Pool op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        int width = types[0].Width;
        for (int s = 0; s < step.Sequences.Length; s++)
        {
            var sequence = step.Sequences[s];
            for (int i = 0; i < width; i++)
            {
                double sum = 0;
                for (int r = 0; r < sequence.Rows; r++) sum += x[0][(sequence.FirstRow + r) * width + i];
                y[0][s * width + i] = op.Kind switch
                {
                    PoolKind.Mean => sum / sequence.Rows,
                    PoolKind.First => x[0][sequence.FirstRow * width + i],
                    _ => x[0][(sequence.FirstRow + sequence.Rows - 1) * width + i],
                };
            }
        }
    }
}
