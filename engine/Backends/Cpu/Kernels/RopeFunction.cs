using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Graphs;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Rotates the pairs of each head of [rows, heads · head width]; elements outside of the rotated range are copied.</summary>
internal sealed unsafe class RopeFunction(KernelContext context, RopeSpec spec) : RowFunction
{
    private readonly RopeTableKernel _table = context.RopeTable(spec);

    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        int rotated = spec.RotatedWidth;
        for (int r = 0; r < count; r++)
        {
            float* cosines = _table.Cosines + (long)(row + r) * rotated, sines = _table.Sines + (long)(row + r) * rotated;
            for (int h = 0; h < spec.Heads; h++)
            {
                float* head = x[0][r] + h * spec.HeadWidth, target = y[0][r] + h * spec.HeadWidth;
                if (rotated < spec.HeadWidth) new ReadOnlySpan<float>(head, spec.HeadWidth).CopyTo(new Span<float>(target, spec.HeadWidth));
                if (spec.Pairing == RopePairing.Halves) Halves(head + spec.Offset, target + spec.Offset, cosines, sines, rotated / 2);
                else Neighbors(head + spec.Offset, target + spec.Offset, cosines, sines, rotated);
            }
        }
    }

    [MethodImpl(AtFirstCall.Compiled)]
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

    [MethodImpl(AtFirstCall.Compiled)]
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
