using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>y = (offset + gain) · tanh(k x) + bias: k is α for every row (DynamicTanh), or (λ/κ) / √(mean x² + ε) (BoundedTanh), where the mean square may be that of a second input.</summary>
internal sealed unsafe class TanhNormFunction : RowFunction
{
    private readonly float* _gain, _bias; // [width] or null
    private readonly NormSpec _spec;
    private readonly int _width;
    private readonly double _alpha, _extra;
    private readonly bool _shared;

    public TanhNormFunction(KernelContext context, Norm op, int width, bool shared)
    {
        (_spec, _width, _shared) = (op.Spec, width, shared);
        _gain = op.Gain is null ? null : context.Weights.Values(op.Gain).Pointer;
        _bias = op.Bias is null ? null : context.Weights.Values(op.Bias).Pointer;
        _alpha = op.Alpha!.ToWideVector()[0];
        _extra = op.ExtraVariance?.ToWideVector()[0] ?? 0;
    }

    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++)
        {
            double k = _spec.Kind == NormKind.DynamicTanh ? _alpha : _alpha / _spec.Bound / Math.Sqrt((double)Sums.OfSquares((_shared ? x[1] : x[0])[r], _width) / _width + _extra + _spec.Epsilon);
            Apply(x[0][r], y[0][r], (float)k);
        }
    }

    private void Apply(float* x, float* y, float factor)
    {
        Vector512<float> k = Vector512.Create(factor), offset = Vector512.Create((float)_spec.GainOffset), scale = Vector512.Create((float)_spec.OutputScale);
        bool gained = _gain is not null, biased = _bias is not null;
        int i = 0;
        for (; i <= _width - Lanes.Count; i += Lanes.Count)
        {
            var v = Functions.Tanh(Vector512.Load(x + i) * k) * scale;
            if (gained) v *= offset + Vector512.Load(_gain + i);
            if (biased) v += Vector512.Load(_bias + i);
            v.Store(y + i);
        }
        if (i < _width) ApplyEnd(i, x, y, k, offset, scale);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ApplyEnd(int i, float* x, float* y, Vector512<float> k, Vector512<float> offset, Vector512<float> scale)
    {
        int count = _width - i;
        var v = Functions.Tanh(Lanes.Load(x + i, count) * k) * scale;
        if (_gain is not null) v *= offset + Lanes.Load(_gain + i, count);
        if (_bias is not null) v += Lanes.Load(_bias + i, count);
        Lanes.Store(v, y + i, count);
    }
}
