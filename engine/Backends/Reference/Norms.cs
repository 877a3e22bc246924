using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Backends.Reference;

/// <summary>Norms, two passes over each group of a row.</summary>
internal static class Norms
{
    public static void Normalize(Norm op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        if (op.Spec.Kind is NormKind.DynamicTanh or NormKind.BoundedTanh or NormKind.DynamicGain)
        {
            Gated(op, types[0].Width, x, y[0], step);
            return;
        }
        int width = types[0].Width, group = width / op.Spec.Groups;
        double[]? gain = Get(op.Gain), bias = Get(op.Bias);
        for (int start = 0; start < y[0].Length; start += group)
        {
            var values = x[0].AsSpan(start, group);
            double mean = op.Spec.SubtractsMean ? Mean(values) : 0, squares = 0;
            foreach (double v in values) squares += (v - mean) * (v - mean);
            if (op.Spec.Kind == NormKind.CompressedRmsNorm) squares += Math.Pow(Mean(values) * group, 2);
            double denominator = op.Spec.Kind == NormKind.UnitLength ? Math.Max(Math.Sqrt(squares), op.Spec.Epsilon) : Math.Sqrt((op.Spec.Kind == NormKind.Static ? 0 : squares / (op.Spec.IsCompressed ? op.Spec.FullWidth : group)) + op.Spec.Epsilon);
            for (int i = 0; i < group; i++)
            {
                double g = gain is null ? 1 : op.Spec.GainOffset + gain[(start % width + i) % gain.Length];
                double b = bias is null ? 0 : bias[(start % width + i) % bias.Length];
                y[0][start + i] = (values[i] - mean) / denominator * op.Spec.OutputScale * g + b;
            }
        }

        double[]? Get(Weight? weight) => weight is null ? null : step.Weights.Get(weight);
    }

    // Norms that put a bounded function around or beside x.
    private static void Gated(Norm op, int width, double[][] x, double[] y, ReferenceStep step)
    {
        double[] alpha = step.Weights.Get(op.Alpha!);
        double[]? gain = op.Gain is null ? null : step.Weights.Get(op.Gain), bias = op.Bias is null ? null : step.Weights.Get(op.Bias), direction = op.Direction is null ? null : step.Weights.Get(op.Direction);
        double extra = op.ExtraVariance is null ? 0 : step.Weights.Get(op.ExtraVariance)[0];
        for (int start = 0; start < y.Length; start += width)
        {
            double squares = 0, product = 0;
            for (int i = start; i < start + width; i++)
            {
                squares += x[^1][i] * x[^1][i];
                product += direction is null ? 0 : x[0][i] * direction[i - start];
            }
            double scale = 1 / Math.Sqrt(squares / width + extra + op.Spec.Epsilon);
            for (int i = start; i < start + width; i++)
            {
                double g = gain is null ? 1 : op.Spec.GainOffset + gain[i - start], b = bias is null ? 0 : bias[i - start];
                y[i] = op.Spec.Kind switch
                {
                    NormKind.DynamicTanh => Math.Tanh(alpha[0] * x[0][i]) * op.Spec.OutputScale * g + b,
                    NormKind.BoundedTanh => Math.Tanh(alpha[0] / op.Spec.Bound * (x[0][i] * scale)) * op.Spec.OutputScale * g + b,
                    _ => (g + alpha[i - start] * Math.Tanh(product)) * (x[0][i] * scale) * op.Spec.OutputScale,
                };
            }
        }
    }

    public static void DepthAttention(DepthAttention op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        int width = types[0].Width, depth = x.Length;
        double[] query = step.Weights.Get(op.Query);
        double[]? gain = op.Gain is null ? null : step.Weights.Get(op.Gain);
        for (int r = 0; r < x[0].Length / width; r++)
        {
            var scores = new double[depth];
            for (int v = 0; v < depth; v++)
            {
                double squares = 0, product = 0;
                for (int i = 0; i < width; i++)
                {
                    double value = x[v][r * width + i];
                    squares += value * value;
                    product += query[i] * (gain?[i] ?? 1) * value;
                }
                scores[v] = product / Math.Sqrt(squares / width + op.Epsilon);
            }
            double maximum = scores.Max(), sum = scores.Sum(s => Math.Exp(s - maximum));
            y[0].AsSpan(r * width, width).Clear();
            for (int v = 0; v < depth; v++)
            {
                double weight = y[1][r * depth + v] = Math.Exp(scores[v] - maximum) / sum;
                for (int i = 0; i < width; i++) y[0][r * width + i] += weight * x[v][r * width + i];
            }
        }
    }

    public static void RotatePairs(RotatePairs op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        double[] angles = step.Weights.Get(op.Angles);
        for (int i = 0; i < y[0].Length; i += 2)
        {
            var (sin, cos) = Math.SinCos(angles[i % types[0].Width / 2]);
            (y[0][i], y[0][i + 1]) = (x[0][i] * cos - x[0][i + 1] * sin, x[0][i] * sin + x[0][i + 1] * cos);
        }
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
