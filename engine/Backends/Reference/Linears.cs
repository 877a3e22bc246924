using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Reference;

/// <summary>Matrix products, k ascending.</summary>
internal static class Linears
{
    public static void Linear(Linear op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        int width = types[0].Width, rows = x[0].Length / width, outputs = (int)op.Weight.Rows;
        double[] weight = step.Weights.Get(op.Weight), bias = op.Bias is null ? new double[outputs] : step.Weights.Get(op.Bias);
        step.ForEach(outputs, o =>
        {
            for (int r = 0; r < rows; r++) y[0][r * outputs + o] = bias[o] + Dot(weight, o * width, x[0], r * width, width);
        });
        if (op.Adapters.IsEmpty) return;
        for (int r = 0; r < rows; r++)
        {
            int slot = step.AdapterOf[types[0].Rows == RowAxis.OutputRows ? step.OutputRows[r] : r];
            if (slot == 0 || slot > op.Adapters.Length || op.Adapters[slot - 1] is not { } adapter) continue;
            double[] a = step.Weights.Get(adapter.A), b = step.Weights.Get(adapter.B);
            int rank = (int)adapter.A.Rows;
            var low = new double[rank];
            for (int k = 0; k < rank; k++) low[k] = Dot(a, k * width, x[0], r * width, width);
            for (int o = 0; o < outputs; o++) y[0][r * outputs + o] += adapter.Scale * Dot(b, o * rank, low, 0, rank);
        }
    }

    public static void GroupLinear(GroupLinear op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        int width = op.Weight.Width, rows = x[0].Length / types[0].Width, outputs = (int)op.Weight.Rows, perGroup = outputs / op.Groups;
        double[] weight = step.Weights.Get(op.Weight);
        for (int r = 0; r < rows; r++)
            for (int o = 0; o < outputs; o++)
                y[0][r * outputs + o] = Dot(weight, o * width, x[0], r * types[0].Width + o / perGroup * width, width);
    }

    public static void ExpertLinear(ExpertLinear op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        int width = op.Weight.Width, outputs = (int)(op.Weight.Rows / op.Experts), used = types[1].Width, rows = x[1].Length / used;
        double[] weight = step.Weights.Get(op.Weight);
        double[]? bias = op.Bias is null ? null : step.Weights.Get(op.Bias);
        bool shared = types[0].Width == width;
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < used; j++)
            {
                int expert = (int)x[1][r * used + j];
                for (int o = 0; o < outputs; o++)
                    y[0][(r * used + j) * outputs + o] = (bias?[expert * outputs + o] ?? 0) + Dot(weight, (expert * outputs + o) * width, x[0], shared ? r * width : (r * used + j) * width, width);
            }
    }

    private static double Dot(double[] a, int aStart, double[] b, int bStart, int count)
    {
        double sum = 0;
        ReadOnlySpan<double> left = a.AsSpan(aStart, count), right = b.AsSpan(bStart, count);
        for (int k = 0; k < left.Length; k++) sum += left[k] * right[k];
        return sum;
    }
}
