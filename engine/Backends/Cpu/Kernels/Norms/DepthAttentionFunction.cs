using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>Σ_i a_i v_i over depths, a = softmax of query · RMSNorm(v_i). Scores and weights in F64: there are few of them.</summary>
internal sealed unsafe class DepthAttentionFunction : RowFunction
{
    private readonly float[] _query; // [width], the gain folded in
    private readonly int _width, _depth;
    private readonly double _epsilon;

    public DepthAttentionFunction(DepthAttention op, int width, int depth)
    {
        (_width, _depth, _epsilon) = (width, depth, op.Epsilon);
        double[] query = op.Query.ToWideVector();
        double[]? gain = op.Gain?.ToWideVector();
        _query = [.. query.Select((q, i) => (float)(q * (gain?[i] ?? 1)))];
    }

    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        double* weights = stackalloc double[_depth];
        for (int r = 0; r < count; r++)
        {
            double maximum = double.NegativeInfinity, sum = 0;
            for (int v = 0; v < _depth; v++) maximum = Math.Max(maximum, weights[v] = Score(x[v][r]));
            for (int v = 0; v < _depth; v++) sum += weights[v] = Math.Exp(weights[v] - maximum);
            for (int v = 0; v < _depth; v++) y[1][r][v] = (float)(weights[v] /= sum);
            for (int i = 0; i < _width; i += Lanes.Count)
            {
                var total = Vector512<float>.Zero;
                for (int v = 0; v < _depth; v++) total = Vector512.FusedMultiplyAdd(Vector512.Create((float)weights[v]), Lanes.Load(x[v][r] + i, _width - i), total);
                Lanes.Store(total, y[0][r] + i, _width - i);
            }
        }
    }

    private double Score(float* value)
    {
        double product = 0;
        for (int i = 0; i < _width; i++) product += (double)_query[i] * value[i];
        return product / Math.Sqrt((double)Sums.OfSquares(value, _width) / _width + _epsilon);
    }
}
