using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Two places in memory that the next product reads, and the bytes of each that are asked for with every k of this one: computing and reading then go on side by side. Default = nothing.</summary>
internal readonly unsafe ref struct ReadAhead
{
    /// <summary>Two regions of <paramref name="bytes"/> each, spread over <paramref name="count"/> k.</summary>
    public ReadAhead(byte* first, byte* second, int bytes, int count) : this(first, second, (bytes + count - 1) / count) { }

    private ReadAhead(byte* first, byte* second, int step)
    {
        First = first;
        Second = second;
        Step = step;
    }

    public readonly byte* First, Second;

    public readonly int Step;

    /// <summary>What is left after <paramref name="count"/> k.</summary>
    public ReadAhead Skip(int count) => new(First + (long)count * Step, Second + (long)count * Step, Step);
}

/// <summary>
/// c[r][j] += Σ_k a[r][k] · b[k][j] for up to four rows and 16 … 64 columns: the two products of attention. Lanes are columns, k ascends with one fused multiply-add each, so a row's bits ignore its company.
/// </summary>
internal static unsafe class PanelProduct
{
    /// <summary>Rows that go together.</summary>
    public const int Rows = 4;

    /// <summary>Columns: all full vectors of 16, in two halves of up to 32 columns that may lie apart.</summary>
    /// <param name="a">[rows] pointers to [count].</param>
    /// <param name="c">[rows] pointers to [columns].</param>
    /// <param name="rows">1 … 4.</param>
    /// <param name="b0">Columns 0 … 31 of the first k.</param>
    /// <param name="b1">Columns 32 … 63 of it.</param>
    /// <param name="stride">Elements from one k to the next.</param>
    /// <param name="count">Number of k.</param>
    /// <param name="columns">16, 32, 48 or 64.</param>
    /// <param name="ahead">What to read meanwhile.</param>
    public static void Run(float** a, float** c, int rows, float* b0, float* b1, int stride, int count, int columns, ReadAhead ahead)
    {
        if (ahead.Step > 0 && columns < 64) Ask(ahead, count);
        if (rows == 1)
        {
            if (columns == 64 && ahead.Step > 0) OneByFour<Asking>(a[0], c[0], b0, b1, stride, count, ahead);
            else if (columns == 64) OneByFour<Silent>(a[0], c[0], b0, b1, stride, count, ahead);
            else
                for (int j = 0; j < columns; j += Lanes.Count) One(a[0], c[0] + j, Column(b0, b1, j), stride, count);
            return;
        }
        // Fewer rows than four: the last one is computed again, with the same bits.
        for (int r = rows; r < Rows; r++)
        {
            a[r] = a[rows - 1];
            c[r] = c[rows - 1];
        }
        if (columns == 64 && Vector512.IsHardwareAccelerated)
        {
            if (ahead.Step > 0) FourByFour<Asking>(a, c, b0, b1, stride, count, ahead);
            else FourByFour<Silent>(a, c, b0, b1, stride, count, ahead);
            return;
        }
        if (ahead.Step > 0 && columns == 64) Ask(ahead, count);
        for (int j = 0; j < columns; j += Lanes.Count) Four(a, c, j, Column(b0, b1, j), stride, count);
    }

    private static float* Column(float* b0, float* b1, int j) => j < 32 ? b0 + j : b1 + j - 32;

    // 16 sums, 4 vectors of b, one broadcast: 21 of 32 registers.
    private static void FourByFour<TAsk>(float** a, float** c, float* b0, float* b1, int stride, int count, ReadAhead ahead) where TAsk : struct
    {
        byte* first = ahead.First, second = ahead.Second;
        float* x0 = a[0], x1 = a[1], x2 = a[2], x3 = a[3], c0 = c[0], c1 = c[1], c2 = c[2], c3 = c[3];
        Vector512<float> s00 = Vector512.Load(c0), s01 = Vector512.Load(c0 + 16), s02 = Vector512.Load(c0 + 32), s03 = Vector512.Load(c0 + 48);
        Vector512<float> s10 = Vector512.Load(c1), s11 = Vector512.Load(c1 + 16), s12 = Vector512.Load(c1 + 32), s13 = Vector512.Load(c1 + 48);
        Vector512<float> s20 = Vector512.Load(c2), s21 = Vector512.Load(c2 + 16), s22 = Vector512.Load(c2 + 32), s23 = Vector512.Load(c2 + 48);
        Vector512<float> s30 = Vector512.Load(c3), s31 = Vector512.Load(c3 + 16), s32 = Vector512.Load(c3 + 32), s33 = Vector512.Load(c3 + 48);
        for (int k = 0; k < count; k++)
        {
            if (typeof(TAsk) == typeof(Asking)) Ask(ref first, ref second, ahead.Step);
            Vector512<float> v0 = Vector512.Load(b0), v1 = Vector512.Load(b0 + 16), v2 = Vector512.Load(b1), v3 = Vector512.Load(b1 + 16);
            b0 += stride;
            b1 += stride;
            var x = Vector512.Create(x0[k]);
            s00 = Vector512.FusedMultiplyAdd(x, v0, s00);
            s01 = Vector512.FusedMultiplyAdd(x, v1, s01);
            s02 = Vector512.FusedMultiplyAdd(x, v2, s02);
            s03 = Vector512.FusedMultiplyAdd(x, v3, s03);
            x = Vector512.Create(x1[k]);
            s10 = Vector512.FusedMultiplyAdd(x, v0, s10);
            s11 = Vector512.FusedMultiplyAdd(x, v1, s11);
            s12 = Vector512.FusedMultiplyAdd(x, v2, s12);
            s13 = Vector512.FusedMultiplyAdd(x, v3, s13);
            x = Vector512.Create(x2[k]);
            s20 = Vector512.FusedMultiplyAdd(x, v0, s20);
            s21 = Vector512.FusedMultiplyAdd(x, v1, s21);
            s22 = Vector512.FusedMultiplyAdd(x, v2, s22);
            s23 = Vector512.FusedMultiplyAdd(x, v3, s23);
            x = Vector512.Create(x3[k]);
            s30 = Vector512.FusedMultiplyAdd(x, v0, s30);
            s31 = Vector512.FusedMultiplyAdd(x, v1, s31);
            s32 = Vector512.FusedMultiplyAdd(x, v2, s32);
            s33 = Vector512.FusedMultiplyAdd(x, v3, s33);
        }
        Store(c0, s00, s01, s02, s03);
        Store(c1, s10, s11, s12, s13);
        Store(c2, s20, s21, s22, s23);
        Store(c3, s30, s31, s32, s33);
    }

    private static void OneByFour<TAsk>(float* x, float* c, float* b0, float* b1, int stride, int count, ReadAhead ahead) where TAsk : struct
    {
        byte* first = ahead.First, second = ahead.Second;
        Vector512<float> s0 = Vector512.Load(c), s1 = Vector512.Load(c + 16), s2 = Vector512.Load(c + 32), s3 = Vector512.Load(c + 48);
        for (int k = 0; k < count; k++)
        {
            if (typeof(TAsk) == typeof(Asking)) Ask(ref first, ref second, ahead.Step);
            var v = Vector512.Create(x[k]);
            s0 = Vector512.FusedMultiplyAdd(v, Vector512.Load(b0), s0);
            s1 = Vector512.FusedMultiplyAdd(v, Vector512.Load(b0 + 16), s1);
            s2 = Vector512.FusedMultiplyAdd(v, Vector512.Load(b1), s2);
            s3 = Vector512.FusedMultiplyAdd(v, Vector512.Load(b1 + 16), s3);
            b0 += stride;
            b1 += stride;
        }
        Store(c, s0, s1, s2, s3);
    }

    private static void Four(float** a, float** c, int column, float* b, int stride, int count)
    {
        float* x0 = a[0], x1 = a[1], x2 = a[2], x3 = a[3];
        Vector512<float> s0 = Vector512.Load(c[0] + column), s1 = Vector512.Load(c[1] + column), s2 = Vector512.Load(c[2] + column), s3 = Vector512.Load(c[3] + column);
        for (int k = 0; k < count; k++)
        {
            var v = Vector512.Load(b);
            b += stride;
            s0 = Vector512.FusedMultiplyAdd(Vector512.Create(x0[k]), v, s0);
            s1 = Vector512.FusedMultiplyAdd(Vector512.Create(x1[k]), v, s1);
            s2 = Vector512.FusedMultiplyAdd(Vector512.Create(x2[k]), v, s2);
            s3 = Vector512.FusedMultiplyAdd(Vector512.Create(x3[k]), v, s3);
        }
        s0.Store(c[0] + column);
        s1.Store(c[1] + column);
        s2.Store(c[2] + column);
        s3.Store(c[3] + column);
    }

    private static void One(float* x, float* c, float* b, int stride, int count)
    {
        var s = Vector512.Load(c);
        for (int k = 0; k < count; k++, b += stride) s = Vector512.FusedMultiplyAdd(Vector512.Create(x[k]), Vector512.Load(b), s);
        s.Store(c);
    }

    private static void Store(float* c, Vector512<float> s0, Vector512<float> s1, Vector512<float> s2, Vector512<float> s3)
    {
        s0.Store(c);
        s1.Store(c + 16);
        s2.Store(c + 32);
        s3.Store(c + 48);
    }

    private static void Ask(ReadAhead ahead, int count)
    {
        byte* first = ahead.First, second = ahead.Second;
        for (int k = 0; k < count; k++) Ask(ref first, ref second, ahead.Step);
    }

    // Up to two lines of each region.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Ask(ref byte* first, ref byte* second, int step)
    {
        if (!Sse.IsSupported) return;
        Sse.Prefetch0(first);
        Sse.Prefetch0(first + 64);
        Sse.Prefetch0(second);
        Sse.Prefetch0(second + 64);
        first += step;
        second += step;
    }

    private readonly struct Asking;

    private readonly struct Silent;
}
