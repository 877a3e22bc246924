using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Backends.Reference;

/// <summary>Norms, two passes over each group of a row.</summary>
internal static class Norms
{
    public static void Normalize(Norm op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        int width = types[0].Width, group = width / op.Spec.Groups;
        double[]? gain = Get(op.Gain), bias = Get(op.Bias);
        for (int start = 0; start < y[0].Length; start += group)
        {
            var values = x[0].AsSpan(start, group);
            double mean = op.Spec.SubtractsMean ? Mean(values) : 0, squares = 0;
            foreach (double v in values) squares += (v - mean) * (v - mean);
            if (op.Spec.Kind == NormKind.CompressedRmsNorm) squares += Math.Pow(Mean(values) * group, 2);
            double denominator = Math.Sqrt((op.Spec.Kind == NormKind.Static ? 0 : squares / (op.Spec.IsCompressed ? op.Spec.FullWidth : group)) + op.Spec.Epsilon);
            for (int i = 0; i < group; i++)
            {
                double g = gain is null ? 1 : op.Spec.GainOffset + gain[(start % width + i) % gain.Length];
                double b = bias is null ? 0 : bias[(start % width + i) % bias.Length];
                y[0][start + i] = (values[i] - mean) / denominator * op.Spec.OutputScale * g + b;
            }
        }

        double[]? Get(Weight? weight) => weight is null ? null : step.Weights.Get(weight);
    }

    public static void Center(Center op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        for (int start = 0; start < y[0].Length; start += types[0].Width)
        {
            double mean = Mean(x[0].AsSpan(start, types[0].Width));
            for (int i = 0; i < types[0].Width; i++) y[0][start + i] = x[0][start + i] - mean;
        }
    }

    private static double Mean(ReadOnlySpan<double> values)
    {
        double sum = 0;
        foreach (double v in values) sum += v;
        return sum / values.Length;
    }
}
