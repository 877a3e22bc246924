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
        if (i < count) a += Lanes.Load(x + i, count - i);
        if (i + 16 < count) b += Lanes.Load(x + i + 16, count - i - 16);
        if (i + 32 < count) c += Lanes.Load(x + i + 32, count - i - 32);
        if (i + 48 < count) d += Lanes.Load(x + i + 48, count - i - 48);
        return Lanes.Sum((a + b) + (c + d));
    }

    /// <summary>Σ (x − center)².</summary>
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
        if (i < count) a = Square(x + i, count - i, m, a);
        if (i + 16 < count) b = Square(x + i + 16, count - i - 16, m, b);
        if (i + 32 < count) c = Square(x + i + 32, count - i - 32, m, c);
        if (i + 48 < count) d = Square(x + i + 48, count - i - 48, m, d);
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
