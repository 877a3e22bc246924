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
    public static float Of<TRow>(TRow x, int count) where TRow : struct, IRow
    {
        Vector512<float> a = default, b = default, c = default, d = default;
        int i = 0;
        for (; i <= count - Wide; i += Wide)
        {
            a += x.Load(i);
            b += x.Load(i + 16);
            c += x.Load(i + 32);
            d += x.Load(i + 48);
        }
        return i == count ? Lanes.Sum((a + b) + (c + d)) : End(x, i, count - i, a, b, c, d);
    }

    /// <summary>Σ x².</summary>
    [MethodImpl(AtFirstCall.Compiled)]
    public static float OfSquares<TRow>(TRow x, int count) where TRow : struct, IRow
    {
        Vector512<float> a = default, b = default, c = default, d = default;
        int i = 0;
        for (; i <= count - Wide; i += Wide)
        {
            Vector512<float> u = x.Load(i), v = x.Load(i + 16), w = x.Load(i + 32), z = x.Load(i + 48);
            a = Vector512.FusedMultiplyAdd(u, u, a);
            b = Vector512.FusedMultiplyAdd(v, v, b);
            c = Vector512.FusedMultiplyAdd(w, w, c);
            d = Vector512.FusedMultiplyAdd(z, z, d);
        }
        return i == count ? Lanes.Sum((a + b) + (c + d)) : EndOfSquares(x, i, count - i, a, b, c, d);
    }

    /// <summary>Σ x² of <paramref name="x"/> [<paramref name="count"/>].</summary>
    public static float OfSquares(float* x, int count) => OfSquares(new StoredRow(x), count);

    /// <summary>Σ x and Σ x², in one pass where registers hold all lanes of both: the bits of <see cref="Of"/> and <see cref="OfSquares{TRow}(TRow, int)"/>.</summary>
    [MethodImpl(AtFirstCall.Compiled)]
    public static (float Sum, float Squares) OfBoth<TRow>(TRow x, int count) where TRow : struct, IRow
    {
        if (!Vector512.IsHardwareAccelerated) return (Of(x, count), OfSquares(x.Stored, count));
        Vector512<float> a = default, b = default, c = default, d = default, e = default, f = default, g = default, h = default;
        int i = 0;
        for (; i <= count - Wide; i += Wide)
        {
            Vector512<float> u = x.Load(i), v = x.Load(i + 16), w = x.Load(i + 32), z = x.Load(i + 48);
            a += u;
            b += v;
            c += w;
            d += z;
            e = Vector512.FusedMultiplyAdd(u, u, e);
            f = Vector512.FusedMultiplyAdd(v, v, f);
            g = Vector512.FusedMultiplyAdd(w, w, g);
            h = Vector512.FusedMultiplyAdd(z, z, h);
        }
        if (i == count) return (Lanes.Sum((a + b) + (c + d)), Lanes.Sum((e + f) + (g + h)));
        // The end is stored by the sum, then read again for the squares.
        float sum = End(x, i, count - i, a, b, c, d);
        return (sum, EndOfSquares(new StoredRow(x.Stored), i, count - i, e, f, g, h));
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
    private static float End<TRow>(TRow x, int i, int count, Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d) where TRow : struct, IRow
    {
        a += x.Load(i, count);
        if (count > 16) b += x.Load(i + 16, count - 16);
        if (count > 32) c += x.Load(i + 32, count - 32);
        if (count > 48) d += x.Load(i + 48, count - 48);
        return Lanes.Sum((a + b) + (c + d));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static float EndOfSquares<TRow>(TRow x, int i, int count, Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d) where TRow : struct, IRow
    {
        a = Square(x.Load(i, count), a);
        if (count > 16) b = Square(x.Load(i + 16, count - 16), b);
        if (count > 32) c = Square(x.Load(i + 32, count - 32), c);
        if (count > 48) d = Square(x.Load(i + 48, count - 48), d);
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

    private static Vector512<float> Square(Vector512<float> value, Vector512<float> sum) => Vector512.FusedMultiplyAdd(value, value, sum);

    // Lanes behind the end hold nothing: not center².
    private static Vector512<float> Square(float* x, int count, Vector512<float> center, Vector512<float> sum)
    {
        var v = Lanes.Load(x, count) - center;
        if (count < Lanes.Count) v = Vector512.ConditionalSelect(Lanes.Mask(0, count - 1), v, Vector512<float>.Zero);
        return Square(v, sum);
    }
}
