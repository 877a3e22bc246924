using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Kernels.Norms;

/// <summary>
/// Sums over a row, each element in the lane that its index modulo 64 names, lanes then added by a fixed tree: the same bits for any vector width, thread count and batch. Four vectors of lanes, since one alone
/// would wait for its own last addition.
/// </summary>
internal static unsafe class Sums
{
    private const int Wide = 4 * Lanes.Count;

    /// <summary>Σ x.</summary>
    [MethodImpl(AtFirstCall.Compiled)]
    public static float Of(float* x, int count)
    {
        Vector512<float> a = default, b = default, c = default, d = default;
        int i = 0;
        for (; i <= count - Wide; i += Wide)
        {
            a += Vector512.Load(x + i);
            b += Vector512.Load(x + i + 16);
            c += Vector512.Load(x + i + 32);
            d += Vector512.Load(x + i + 48);
        }
        return i == count ? Lanes.Sum((a + b) + (c + d)) : End(x + i, count - i, a, b, c, d);
    }

    /// <summary>Σ (x − center)².</summary>
    [MethodImpl(AtFirstCall.Compiled)]
    public static float OfSquares(float* x, int count, float center)
    {
        Vector512<float> a = default, b = default, c = default, d = default, m = Vector512.Create(center);
        int i = 0;
        for (; i <= count - Wide; i += Wide)
        {
            Vector512<float> u = Vector512.Load(x + i) - m, v = Vector512.Load(x + i + 16) - m, w = Vector512.Load(x + i + 32) - m, z = Vector512.Load(x + i + 48) - m;
            a = Vector512.FusedMultiplyAdd(u, u, a);
            b = Vector512.FusedMultiplyAdd(v, v, b);
            c = Vector512.FusedMultiplyAdd(w, w, c);
            d = Vector512.FusedMultiplyAdd(z, z, d);
        }
        return i == count ? Lanes.Sum((a + b) + (c + d)) : EndOfSquares(x + i, count - i, m, a, b, c, d);
    }

    // The ends of rows have methods of their own: in one method with them the loops keep their sums in memory.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static float End(float* x, int count, Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d)
    {
        a += Lanes.Load(x, count);
        if (count > 16) b += Lanes.Load(x + 16, count - 16);
        if (count > 32) c += Lanes.Load(x + 32, count - 32);
        if (count > 48) d += Lanes.Load(x + 48, count - 48);
        return Lanes.Sum((a + b) + (c + d));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static float EndOfSquares(float* x, int count, Vector512<float> center, Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d)
    {
        a = Square(x, count, center, a);
        if (count > 16) b = Square(x + 16, count - 16, center, b);
        if (count > 32) c = Square(x + 32, count - 32, center, c);
        if (count > 48) d = Square(x + 48, count - 48, center, d);
        return Lanes.Sum((a + b) + (c + d));
    }

    // Lanes behind the end hold nothing: not center².
    private static Vector512<float> Square(float* x, int count, Vector512<float> center, Vector512<float> sum)
    {
        var v = Lanes.Load(x, count) - center;
        if (count < Lanes.Count) v = Vector512.ConditionalSelect(Lanes.Mask(0, count - 1), v, Vector512<float>.Zero);
        return Vector512.FusedMultiplyAdd(v, v, sum);
    }
}
