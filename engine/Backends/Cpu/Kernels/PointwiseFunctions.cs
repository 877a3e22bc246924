using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>A function of one element (b is unused) or of two, 16 at a time, with up to two constants of the op.</summary>
internal interface IPointwise
{
    /// <summary>Whether b is used.</summary>
    static virtual bool IsBinary => false;

    /// <summary>f.</summary>
    static abstract Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second);
}

/// <summary>Makes the functions of pointwise ops over rows of a width.</summary>
internal static class PointwiseFunctions
{
    public static ColumnFunction Add(int width) => new PointwiseFunction<AddFunction>(width);

    public static ColumnFunction ClampedGlu(float alpha, float limit, int width) => new PointwiseFunction<ClampedGluFunction>(width, alpha, limit);

    public static ColumnFunction Multiply(int width) => new PointwiseFunction<MultiplyFunction>(width);

    public static ColumnFunction Scale(float factor, int width) => new PointwiseFunction<ScaleFunction>(width, factor);

    public static ColumnFunction SoftCap(float cap, int width) => new PointwiseFunction<SoftCapFunction>(width, cap);

    public static ColumnFunction Activate(ActivationKind kind, int width) => kind switch
    {
        ActivationKind.Relu => new PointwiseFunction<Relu>(width),
        ActivationKind.ReluSquared => new PointwiseFunction<ReluSquared>(width),
        ActivationKind.Silu => new PointwiseFunction<Silu>(width),
        ActivationKind.GeluErf => new PointwiseFunction<GeluErf>(width),
        ActivationKind.GeluTanh => new PointwiseFunction<GeluTanh>(width),
        ActivationKind.GeluQuick => new PointwiseFunction<GeluQuick>(width),
        ActivationKind.Sigmoid => new PointwiseFunction<SigmoidFunction>(width),
        ActivationKind.Tanh => new PointwiseFunction<TanhFunction>(width),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "is not an activation"),
    };

    public static ColumnFunction GatedActivate(ActivationKind kind, int width) => kind switch
    {
        ActivationKind.Relu => new PointwiseFunction<Gated<Relu>>(width),
        ActivationKind.ReluSquared => new PointwiseFunction<Gated<ReluSquared>>(width),
        ActivationKind.Silu => new PointwiseFunction<Gated<Silu>>(width),
        ActivationKind.GeluErf => new PointwiseFunction<Gated<GeluErf>>(width),
        ActivationKind.GeluTanh => new PointwiseFunction<Gated<GeluTanh>>(width),
        ActivationKind.GeluQuick => new PointwiseFunction<Gated<GeluQuick>>(width),
        ActivationKind.Sigmoid => new PointwiseFunction<Gated<SigmoidFunction>>(width),
        ActivationKind.Tanh => new PointwiseFunction<Gated<TanhFunction>>(width),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "is not an activation"),
    };

    private readonly struct AddFunction : IPointwise
    {
        public static bool IsBinary => true;

        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => a + b;
    }

    private readonly struct MultiplyFunction : IPointwise
    {
        public static bool IsBinary => true;

        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => a * b;
    }

    private readonly struct ScaleFunction : IPointwise
    {
        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => a * Vector512.Create(constant);
    }

    private readonly struct SoftCapFunction : IPointwise
    {
        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => Vector512.Create(constant) * Functions.Tanh(a / Vector512.Create(constant));
    }

    private readonly struct Relu : IPointwise
    {
        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => Vector512.Max(a, Vector512<float>.Zero);
    }

    private readonly struct ReluSquared : IPointwise
    {
        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => Vector512.Max(a, Vector512<float>.Zero) * Vector512.Max(a, Vector512<float>.Zero);
    }

    private readonly struct Silu : IPointwise
    {
        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => a * Functions.Sigmoid(a);
    }

    private readonly struct GeluErf : IPointwise
    {
        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => a * Vector512.Create(0.5f) * Functions.Erfc(a * Vector512.Create(-0.70710678f));
    }

    private readonly struct GeluTanh : IPointwise
    {
        // ½(1 + tanh z) = σ(2z)
        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second)
        {
            var z = a * Vector512.FusedMultiplyAdd(a * a, Vector512.Create(2 * 0.044715f * 0.7978845608f), Vector512.Create(2 * 0.7978845608f));
            return a * Functions.Sigmoid(z);
        }
    }

    private readonly struct GeluQuick : IPointwise
    {
        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => a * Functions.Sigmoid(a * Vector512.Create(1.702f));
    }

    private readonly struct SigmoidFunction : IPointwise
    {
        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => Functions.Sigmoid(a);
    }

    private readonly struct TanhFunction : IPointwise
    {
        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => Functions.Tanh(a);
    }

    private readonly struct ClampedGluFunction : IPointwise
    {
        public static bool IsBinary => true;

        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second)
        {
            var limit = Vector512.Create(second);
            Vector512<float> gate = Vector512.Min(a, limit), up = Vector512.Max(Vector512.Min(b, limit), -limit);
            return (up + Vector512<float>.One) * gate * Functions.Sigmoid(Vector512.Create(constant) * gate);
        }
    }

    private readonly struct Gated<T> : IPointwise where T : IPointwise
    {
        public static bool IsBinary => true;

        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => T.Invoke(a, b, constant, second) * b;
    }
}

/// <summary>y = f(a, b), or f(a), element by element.</summary>
internal sealed unsafe class PointwiseFunction<T>(int width, float constant = 0, float second = 0) : ColumnFunction(width) where T : struct, IPointwise
{
    public override void Run(int count, int first, int columns, RowBlock* x, RowBlock* y)
    {
        RowBlock a = x[0], b = T.IsBinary ? x[1] : x[0];
        if (a.Stride == columns && b.Stride == columns && y[0].Stride == columns) Run(a.First + first, b.First + first, y[0].First + first, (long)count * columns);
        else
            for (int r = 0; r < count; r++) Run(a[r] + first, b[r] + first, y[0][r] + first, columns);
    }

    [MethodImpl(AtFirstCall.Compiled)]
    private void Run(float* a, float* b, float* y, long count)
    {
        long i = 0;
        for (; i <= count - Lanes.Count; i += Lanes.Count) T.Invoke(Vector512.Load(a + i), Vector512.Load(b + i), constant, second).Store(y + i);
        if (i == count) return;
        int rest = (int)(count - i);
        Lanes.Store(T.Invoke(Lanes.Load(a + i, rest), Lanes.Load(b + i, rest), constant, second), y + i, rest);
    }
}

/// <summary>y[r, :] = a[r, :] · b[r] for b of width 1.</summary>
internal sealed unsafe class ScaleRowsFunction(int width) : RowFunction
{
    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++)
            for (int i = 0; i < width; i += Lanes.Count)
                Lanes.Store(Lanes.Load(x[0][r] + i, width - i) * Vector512.Create(x[1][r][0]), y[0][r] + i, width - i);
    }
}
