using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>A function of one element (b is unused) or of two, 16 at a time, with up to two constants of the op.</summary>
internal interface IPointwise
{
    static abstract Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second);
}

/// <summary>Makes the kernels of pointwise ops.</summary>
internal static class PointwiseKernels
{
    public static CpuKernel Add(KernelContext context, Node node, Value value) => new PointwiseKernel<AddFunction>(context, 0, node, value);

    public static CpuKernel ClampedGlu(KernelContext context, float alpha, float limit, Node node, Value value) => new PointwiseKernel<ClampedGluFunction>(context, alpha, node, value, limit);

    public static CpuKernel Multiply(KernelContext context, Node node, Value value) => new PointwiseKernel<MultiplyFunction>(context, 0, node, value);

    public static CpuKernel Scale(KernelContext context, float factor, Node node, Value value) => new PointwiseKernel<ScaleFunction>(context, factor, node, value);

    public static CpuKernel SoftCap(KernelContext context, float cap, Node node, Value value) => new PointwiseKernel<SoftCapFunction>(context, cap, node, value);

    public static CpuKernel Activate(KernelContext context, ActivationKind kind, Node node, Value value) => kind switch
    {
        ActivationKind.Relu => new PointwiseKernel<Relu>(context, 0, node, value),
        ActivationKind.ReluSquared => new PointwiseKernel<ReluSquared>(context, 0, node, value),
        ActivationKind.Silu => new PointwiseKernel<Silu>(context, 0, node, value),
        ActivationKind.GeluErf => new PointwiseKernel<GeluErf>(context, 0, node, value),
        ActivationKind.GeluTanh => new PointwiseKernel<GeluTanh>(context, 0, node, value),
        ActivationKind.GeluQuick => new PointwiseKernel<GeluQuick>(context, 0, node, value),
        ActivationKind.Sigmoid => new PointwiseKernel<SigmoidFunction>(context, 0, node, value),
        ActivationKind.Tanh => new PointwiseKernel<TanhFunction>(context, 0, node, value),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "is not an activation"),
    };

    public static CpuKernel GatedActivate(KernelContext context, ActivationKind kind, Node node, Value value) => kind switch
    {
        ActivationKind.Relu => new PointwiseKernel<Gated<Relu>>(context, 0, node, value),
        ActivationKind.ReluSquared => new PointwiseKernel<Gated<ReluSquared>>(context, 0, node, value),
        ActivationKind.Silu => new PointwiseKernel<Gated<Silu>>(context, 0, node, value),
        ActivationKind.GeluErf => new PointwiseKernel<Gated<GeluErf>>(context, 0, node, value),
        ActivationKind.GeluTanh => new PointwiseKernel<Gated<GeluTanh>>(context, 0, node, value),
        ActivationKind.GeluQuick => new PointwiseKernel<Gated<GeluQuick>>(context, 0, node, value),
        ActivationKind.Sigmoid => new PointwiseKernel<Gated<SigmoidFunction>>(context, 0, node, value),
        ActivationKind.Tanh => new PointwiseKernel<Gated<TanhFunction>>(context, 0, node, value),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "is not an activation"),
    };

    private readonly struct AddFunction : IPointwise
    {
        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => a + b;
    }

    private readonly struct MultiplyFunction : IPointwise
    {
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
        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second)
        {
            var limit = Vector512.Create(second);
            Vector512<float> gate = Vector512.Min(a, limit), up = Vector512.Max(Vector512.Min(b, limit), -limit);
            return (up + Vector512<float>.One) * gate * Functions.Sigmoid(Vector512.Create(constant) * gate);
        }
    }

    private readonly struct Gated<T> : IPointwise where T : IPointwise
    {
        public static Vector512<float> Invoke(Vector512<float> a, Vector512<float> b, float constant, float second) => T.Invoke(a, b, constant, second) * b;
    }
}

/// <summary>y = f(a, b) over all elements of [rows, width]; a thread takes whole vectors.</summary>
internal sealed unsafe class PointwiseKernel<T>(KernelContext context, float constant, Node node, Value value, float second = 0) : CpuKernel where T : struct, IPointwise
{
    private readonly float* _a = context.Input(node, 0);
    private readonly float* _b = context.Input(node, node.Inputs.Length - 1); // a itself for functions of one element
    private readonly float* _y = context.Pointer(value);
    private readonly ValueInfo _type = context.TypeOf(value);

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        long total = (long)step.RowsOf(_type.Rows) * _type.Width;
        var (first, end) = Part(checked((int)((total + Lanes.Count - 1) / Lanes.Count)), thread, threads);
        for (int block = first; block < end; block++)
        {
            long i = (long)block * Lanes.Count;
            int count = (int)Math.Min(Lanes.Count, total - i);
            Lanes.Store(T.Invoke(Lanes.Load(_a + i, count), Lanes.Load(_b + i, count), constant, second), _y + i, count);
        }
    }
}

/// <summary>y[r, :] = a[r, :] · b[r] for b of width 1.</summary>
internal sealed unsafe class ScaleRowsKernel(KernelContext context, Node node, Value value) : CpuKernel
{
    private readonly float* _a = context.Input(node, 0), _b = context.Input(node, 1), _y = context.Pointer(value);
    private readonly ValueInfo _type = context.TypeOf(value);

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        var (first, end) = Part(step.RowsOf(_type.Rows), thread, threads);
        for (int r = first; r < end; r++)
            for (int i = 0; i < _type.Width; i += Lanes.Count)
                Lanes.Store(Lanes.Load(_a + (long)r * _type.Width + i, _type.Width - i) * Vector512.Create(_b[r]), _y + (long)r * _type.Width + i, _type.Width - i);
    }
}
