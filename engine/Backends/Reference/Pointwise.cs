using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Reference;

/// <summary>Inputs, look-ups and functions of single elements.</summary>
internal static class Pointwise
{
    public static void Input(Input op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        for (int i = 0; i < y[0].Length; i++)
            y[0][i] = op.Kind switch
            {
                InputKind.Tokens => step.Tokens[i],
                InputKind.Positions => step.PositionOf[i],
                _ => step.Residual[i],
            };
    }

    public static void Embed(Embed op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        double[] table = step.Weights.Get(op.Table);
        int width = op.Table.Width;
        for (int r = 0; r < step.Rows; r++)
            Array.Copy(table, ((op.Constant ? 0 : (int)x[0][r]) + op.Offset) * width, y[0], r * width, width);
    }

    public static void Activate(Activate op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step) => Map(x[0], y[0], v => Apply(op.Kind, v));

    public static void GatedActivate(GatedActivate op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        for (int i = 0; i < y[0].Length; i++) y[0][i] = Apply(op.Kind, x[0][i]) * x[1][i];
    }

    public static void ClampedGlu(ClampedGlu op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        for (int i = 0; i < y[0].Length; i++)
        {
            double gate = Math.Min(x[0][i], op.Limit), up = Math.Clamp(x[1][i], -op.Limit, op.Limit);
            y[0][i] = (up + 1) * gate / (1 + Math.Exp(-op.Alpha * gate));
        }
    }

    public static void Quantize(QuantizeRows op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        for (int start = 0; start < x[0].Length; start += QuantizeRows.Block)
        {
            float largest = 0;
            for (int i = start; i < start + QuantizeRows.Block; i++) largest = MathF.Max(largest, MathF.Abs((float)x[0][i]));
            float scale = largest / op.Largest, inverse = largest > 0 ? op.Largest / largest : 0;
            for (int i = start; i < start + QuantizeRows.Block; i++) y[0][i] = scale * (double)MathF.Round((float)x[0][i] * inverse, MidpointRounding.ToEven);
        }
    }

    public static void Add(Add op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        for (int i = 0; i < y[0].Length; i++) y[0][i] = x[0][i] + x[1][i];
    }

    public static void Multiply(Multiply op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        int ratio = types[0].Width / types[1].Width;
        for (int i = 0; i < y[0].Length; i++) y[0][i] = x[0][i] * x[1][i / ratio];
    }

    public static void Map(double[] x, double[] y, Func<double, double> f)
    {
        for (int i = 0; i < y.Length; i++) y[i] = f(x[i]);
    }

    public static double Apply(ActivationKind kind, double x) => kind switch
    {
        ActivationKind.Relu => Math.Max(x, 0),
        ActivationKind.ReluSquared => Math.Max(x, 0) * Math.Max(x, 0),
        ActivationKind.Silu => x / (1 + Math.Exp(-x)),
        ActivationKind.GeluErf => 0.5 * x * ErrorFunction.Erfc(-x / Math.Sqrt(2)),
        ActivationKind.GeluTanh => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
        ActivationKind.GeluQuick => x / (1 + Math.Exp(-1.702 * x)),
        ActivationKind.Sigmoid => 1 / (1 + Math.Exp(-x)),
        ActivationKind.Tanh => Math.Tanh(x),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "is not an activation"),
    };
}
