using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Rotates the pairs of each head of [rows, heads · head width]; elements outside of the rotated range are copied.</summary>
internal sealed unsafe class RopeKernel(KernelContext context, RopeSpec spec, Node node, Value value) : CpuKernel
{
    private readonly RopeTableKernel _table = context.RopeTable(spec);
    private readonly float* _x = context.Input(node, 0), _y = context.Pointer(value);

    public override void Run(CpuStep step, int phase, int thread, int threads)
    {
        int rotated = spec.RotatedWidth, width = spec.HeadWidth * spec.Heads;
        var (first, end) = Part(step.Rows, thread, threads);
        for (int r = first; r < end; r++)
        {
            float* cosines = _table.Cosines + (long)r * rotated, sines = _table.Sines + (long)r * rotated;
            for (int h = 0; h < spec.Heads; h++)
            {
                float* x = _x + (long)r * width + h * spec.HeadWidth, y = _y + (long)r * width + h * spec.HeadWidth;
                if (rotated < spec.HeadWidth) new ReadOnlySpan<float>(x, spec.HeadWidth).CopyTo(new Span<float>(y, spec.HeadWidth));
                if (spec.Pairing == RopePairing.Halves) Halves(x + spec.Offset, y + spec.Offset, cosines, sines, rotated / 2);
                else Neighbors(x + spec.Offset, y + spec.Offset, cosines, sines, rotated);
            }
        }
    }

    private static void Halves(float* x, float* y, float* cosines, float* sines, int pairs)
    {
        for (int i = 0; i < pairs; i += Lanes.Count)
        {
            int count = pairs - i;
            Vector512<float> a = Lanes.Load(x + i, count), b = Lanes.Load(x + pairs + i, count);
            Lanes.Store(Vector512.FusedMultiplyAdd(b, Lanes.Load(sines + i, count), a * Lanes.Load(cosines + i, count)), y + i, count);
            Lanes.Store(Vector512.FusedMultiplyAdd(a, Lanes.Load(sines + pairs + i, count), b * Lanes.Load(cosines + pairs + i, count)), y + pairs + i, count);
        }
    }

    private static void Neighbors(float* x, float* y, float* cosines, float* sines, int width)
    {
        var swap = Vector512.Create(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
        for (int i = 0; i < width; i += Lanes.Count)
        {
            int count = width - i;
            var v = Lanes.Load(x + i, count);
            Lanes.Store(Vector512.FusedMultiplyAdd(Vector512.Shuffle(v, swap), Lanes.Load(sines + i, count), v * Lanes.Load(cosines + i, count)), y + i, count);
        }
    }
}
