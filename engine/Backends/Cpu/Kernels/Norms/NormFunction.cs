using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>
/// y = (x − mean) · scale · (offset + gain) + bias over each group of each row of [rows, width]. A kind of norm says what mean and scale of a group are (<see cref="INormStatistics"/>); it is one file of this
/// folder and one line of <see cref="Create"/>. The group stays in L1 from the sums to the last pass.
/// </summary>
internal abstract unsafe class NormFunction : RowFunction
{
    private readonly float* _gain, _bias; // [width] or [group], or null
    private readonly int _width;
    private readonly bool _wideGain, _wideBias;
    private readonly float _offset, _outputScale;

    protected NormFunction(KernelContext context, NormSpec spec, Weight? gain, Weight? bias, int width)
    {
        Spec = spec;
        _width = width;
        _offset = spec.GainOffset;
        _outputScale = (float)spec.OutputScale;
        Group = width / spec.Groups;
        _gain = gain is null ? null : context.Weights.Values(gain).Pointer;
        _bias = bias is null ? null : context.Weights.Values(bias).Pointer;
        _wideGain = gain?.Width == width;
        _wideBias = bias?.Width == width;
    }

    /// <summary>What the norm does.</summary>
    protected NormSpec Spec { get; }

    /// <summary>Elements that are normalized together.</summary>
    protected int Group { get; }

    /// <summary>Binds a norm of rows of <paramref name="width"/> elements to its weights.</summary>
    public static NormFunction Create(KernelContext context, NormSpec spec, Weight? gain, Weight? bias, int width) => spec.Kind switch
    {
        NormKind.LayerNorm => new NormFunction<LayerNormStatistics>(context, spec, gain, bias, width),
        NormKind.RmsNorm => new NormFunction<RmsNormStatistics>(context, spec, gain, bias, width),
        NormKind.Static => new NormFunction<StaticNormStatistics>(context, spec, gain, bias, width),
        NormKind.UnitLength => new NormFunction<UnitLengthStatistics>(context, spec, gain, bias, width),
        NormKind.CompressedRmsNorm or NormKind.IsometricCompressedRmsNorm => new NormFunction<CompressedRmsNormStatistics>(context, spec, gain, bias, width),
        _ => throw new ArgumentOutOfRangeException(nameof(spec), spec.Kind, "is not a norm"),
    };

    public sealed override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++)
            for (int start = 0; start < _width; start += Group) Apply(Statistics(x[0][r] + start), x[0][r], y[0][r], start);
    }

    /// <summary>
    /// sum = a + b, y = norm of sum; y may be a or b. The next row is added while the norm of a row is written, so that memory has as much to read as to write at all times (against one after the other, widths
    /// 2048 and 8192 in memory: 5 to 10% in a sketch of this loop).
    /// </summary>
    public void AddAndNormalize(int count, RowBlock a, RowBlock b, RowBlock sum, RowBlock y)
    {
        if (Group != _width)
        {
            for (int r = 0; r < count; r++)
                for (int start = 0; start < _width; start += Group) Apply(Statistics(a[r] + start, b[r] + start, sum[r] + start), sum[r], y[r], start);
            return;
        }
        var of = Statistics(a[0], b[0], sum[0]);
        for (int r = 1; r < count; r++) of = Statistics(a[r], b[r], sum[r], new NormedRow(sum[r - 1], y[r - 1], _gain, _bias, of.Mean, of.Scale * _outputScale, _offset));
        Apply(of, sum[count - 1], y[count - 1], 0);
    }

    /// <summary>Mean and scale of a group: <paramref name="x"/> [<see cref="Group"/>].</summary>
    protected abstract (float Mean, float Scale) Statistics(float* x);

    /// <summary>Mean and scale of a group a + b, which is stored in <paramref name="sum"/>; [<see cref="Group"/>] each.</summary>
    protected abstract (float Mean, float Scale) Statistics(float* a, float* b, float* sum);

    /// <summary>The same, while the norm of the row before it is written.</summary>
    protected abstract (float Mean, float Scale) Statistics(float* a, float* b, float* sum, NormedRow before);

    private void Apply((float Mean, float Scale) of, float* x, float* y, int start)
        => Apply(x + start, y + start, of.Mean, of.Scale * _outputScale, _gain + (_wideGain ? start : 0), _bias + (_wideBias ? start : 0));

    // Whole vectors in a loop of its own: a loop that also handles the end of a row keeps its vectors in memory. The end of a row that is no multiple of them is one more vector over its last elements, read before
    // anything is written, as y may be x.
    [MethodImpl(AtFirstCall.Compiled)]
    private void Apply(float* x, float* y, float mean, float scale, float* gain, float* bias)
    {
        Vector512<float> m = Vector512.Create(mean), s = Vector512.Create(scale), offset = Vector512.Create(_offset);
        bool gained = _gain is not null, biased = _bias is not null;
        int last = Group - Lanes.Count;
        if (last < 0)
        {
            ApplyShort(x, y, m, s, gain, bias);
            return;
        }
        var end = (Vector512.Load(x + last) - m) * s;
        if (gained) end *= offset + Vector512.Load(gain + last);
        if (biased) end += Vector512.Load(bias + last);
        for (int i = 0; i < last; i += Lanes.Count)
        {
            var v = (Vector512.Load(x + i) - m) * s;
            if (gained) v *= offset + Vector512.Load(gain + i);
            if (biased) v += Vector512.Load(bias + i);
            v.Store(y + i);
        }
        end.Store(y + last);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ApplyShort(float* x, float* y, Vector512<float> mean, Vector512<float> scale, float* gain, float* bias)
    {
        var v = (Lanes.Load(x, Group) - mean) * scale;
        if (_gain is not null) v *= Vector512.Create(_offset) + Lanes.Load(gain, Group);
        if (_bias is not null) v += Lanes.Load(bias, Group);
        Lanes.Store(v, y, Group);
    }
}

/// <summary>The norm of a kind.</summary>
internal sealed unsafe class NormFunction<TStatistics>(KernelContext context, NormSpec spec, Weight? gain, Weight? bias, int width) : NormFunction(context, spec, gain, bias, width) where TStatistics : struct, INormStatistics
{
    protected override (float Mean, float Scale) Statistics(float* x) => TStatistics.Of(new StoredRow(x), Group, Spec);

    protected override (float Mean, float Scale) Statistics(float* a, float* b, float* sum) => TStatistics.Of(new AddedRow(a, b, sum), Group, Spec);

    protected override (float Mean, float Scale) Statistics(float* a, float* b, float* sum, NormedRow before) => TStatistics.Of(new FollowingRow(new AddedRow(a, b, sum), before), Group, Spec);
}
