using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>y = (x − mean) / √(mean (x − mean)² + ε) · gain + bias over each group of each row of [rows, width]; the kinds leave parts of that out. Two passes over a group that stays in L1.</summary>
/// <remarks>Sums run over 16 lanes in index order, then a fixed tree: the same bits for any vector width, thread count and batch.</remarks>
internal sealed unsafe class NormKernel : CpuKernel
{
    private readonly float* _x, _y;       // [rows, width]
    private readonly float* _gain, _bias; // [width] or [group], or null
    private readonly int _width, _group;
    private readonly bool _wideGain, _wideBias;
    private readonly NormSpec _spec;
    private readonly RowAxis _rows;

    public NormKernel(KernelContext context, NormSpec spec, Weight? gain, Weight? bias, Node node, Value value)
    {
        _spec = spec;
        _x = context.Input(node, 0);
        _y = context.Pointer(value);
        _rows = context.TypeOf(value).Rows;
        _width = context.TypeOf(value).Width;
        _group = _width / spec.Groups;
        if (gain is not null)
        {
            _gain = context.Weights.Values(gain).Pointer;
            _wideGain = gain.Width == _width;
        }
        if (bias is not null)
        {
            _bias = context.Weights.Values(bias).Pointer;
            _wideBias = bias.Width == _width;
        }
    }

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (first, end) = Part(step.RowsOf(_rows), thread, threads);
        for (int r = first; r < end; r++)
            for (int start = 0; start < _width; start += _group)
                Normalize(_x + (long)r * _width + start, _y + (long)r * _width + start, _gain + (_wideGain ? start : 0), _bias + (_wideBias ? start : 0));
    }

    private void Normalize(float* x, float* y, float* gain, float* bias)
    {
        bool centered = _spec.Kind == NormKind.LayerNorm || _spec.Center;
        float mean = centered ? Sum(x) / _group : 0;
        float scale = _spec.Kind == NormKind.Static
            ? (float)(1 / Math.Sqrt(_spec.Epsilon))
            : (float)(1 / Math.Sqrt((double)SumOfSquares(x, mean) / _group + _spec.Epsilon));
        Vector512<float> m = Vector512.Create(mean), s = Vector512.Create(scale), offset = Vector512.Create((float)_spec.GainOffset);
        for (int i = 0; i < _group; i += Lanes.Count)
        {
            int count = _group - i;
            var v = (Lanes.Load(x + i, count) - m) * s;
            if (_gain is not null) v *= offset + Lanes.Load(gain + i, count);
            if (_bias is not null) v += Lanes.Load(bias + i, count);
            Lanes.Store(v, y + i, count);
        }
    }

    private float Sum(float* x)
    {
        var sum = Vector512<float>.Zero;
        for (int i = 0; i < _group; i += Lanes.Count) sum += Lanes.Load(x + i, _group - i);
        return Lanes.Sum(sum);
    }

    private float SumOfSquares(float* x, float mean)
    {
        var (sum, m) = (Vector512<float>.Zero, Vector512.Create(mean));
        for (int i = 0; i < _group; i += Lanes.Count)
        {
            var v = Lanes.Load(x + i, _group - i) - m;
            if (_group - i < Lanes.Count) v = Vector512.ConditionalSelect(Lanes.Mask(0, _group - i - 1), v, Vector512<float>.Zero);
            sum = Vector512.FusedMultiplyAdd(v, v, sum);
        }
        return Lanes.Sum(sum);
    }
}
