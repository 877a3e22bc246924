using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Tare.Backends.Cpu.Caches;
using Tare.Backends.Cpu.Numerics;
using Tare.Execution;
using Tare.Graphs;

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
/// c[r][j] += Σ_k a[r][k] · b[k][j] for up to four rows and 16 … 64 columns: the two products of attention. Lanes are columns, k ascends with one fused multiply-add each, so a row's bits ignore its company. Stored elements are
/// widened to F32 in registers, exactly, so they give the bits of widened panels.
/// </summary>
internal static unsafe class PanelProduct
{
    /// <summary>Rows that go together.</summary>
    public const int Rows = 4;

    private const int Half = KvLayout.PageTokens; // columns that lie together

    /// <summary>Scores: columns are positions of one or two pages, k the elements of a key.</summary>
    /// <param name="a">[rows] pointers to [count]; may be changed.</param>
    /// <param name="c">[rows] pointers to [columns]; may be changed.</param>
    /// <param name="rows">1 … 4.</param>
    /// <param name="low">Columns 0 … 31.</param>
    /// <param name="high">Columns 32 … 63, of the same type.</param>
    /// <param name="count">Number of k.</param>
    /// <param name="columns">32 or 64.</param>
    /// <param name="ahead">What to read meanwhile.</param>
    public static void Keys(float** a, float** c, int rows, in Panel low, in Panel high, int count, int columns, ReadAhead ahead)
    {
        switch (low.Type)
        {
            case KvType.F32:
                Run<SingleElements, Unscaled>(a, c, rows, new Operand(low.Elements, high.Elements, low.Stride * sizeof(float)), count, columns, ahead);
                break;
            case KvType.F16:
                Run<HalfElements, Unscaled>(a, c, rows, new Operand(low.Elements, high.Elements, low.Stride * sizeof(ushort)), count, columns, ahead);
                break;
            default:
                // Scales are those of 32 k.
                for (int k = 0; k < count; k += HeadFormat.Block)
                {
                    long codes = (long)k * low.Stride, scales = k / HeadFormat.Block * Half * sizeof(ushort);
                    var b = new Operand(low.Elements + codes, high.Elements + codes, low.Stride, low.Scales + scales, high.Scales + scales);
                    Run<CodeElements, ScaledColumns>(a, c, rows, b, Math.Min(HeadFormat.Block, count - k), columns, ahead.Skip(k));
                    for (int r = 0; r < rows; r++) a[r] += HeadFormat.Block;
                }
                break;
        }
    }

    /// <summary>Weighted sums: columns are elements of a value from <paramref name="column"/> (a multiple of 64) on, k positions of a page from <paramref name="first"/> on.</summary>
    /// <param name="a">[rows] pointers to [count]; may be changed.</param>
    /// <param name="c">[rows] pointers to [columns]; may be changed.</param>
    /// <param name="rows">1 … 4.</param>
    /// <param name="values">The page.</param>
    /// <param name="first">First position.</param>
    /// <param name="column">First element.</param>
    /// <param name="count">Number of positions.</param>
    /// <param name="columns">16, 32, 48 or 64: all full vectors.</param>
    /// <param name="ahead">What to read meanwhile.</param>
    [SkipLocalsInit]
    public static void Values(float** a, float** c, int rows, in Panel values, int first, int column, int count, int columns, ReadAhead ahead)
    {
        long at = (long)first * values.Stride + column;
        switch (values.Type)
        {
            case KvType.F32:
                Run<SingleElements, Unscaled>(a, c, rows, new Operand(values.Elements + at * sizeof(float), Half * sizeof(float), values.Stride * sizeof(float)), count, columns, ahead);
                break;
            case KvType.F16:
                Run<HalfElements, Unscaled>(a, c, rows, new Operand(values.Elements + at * sizeof(ushort), Half * sizeof(ushort), values.Stride * sizeof(ushort)), count, columns, ahead);
                break;
            default:
                float* scales = stackalloc float[2 * Half];
                for (int i = 0; i < (columns > Half ? 2 * Half : Half); i += Lanes.Count) HalfElements.Load(values.Scales + (column + i) * sizeof(ushort)).Store(scales + i);
                byte* codes = values.Elements + at;
                Run<CodeElements, ScaledRows>(a, c, rows, new Operand(codes, codes + Half, values.Stride, (byte*)(scales + first), (byte*)(scales + Half + first)), count, columns, ahead);
                break;
        }
    }

    private static void Run<TElements, TScale>(float** a, float** c, int rows, in Operand b, int count, int columns, ReadAhead ahead) where TElements : struct, ICacheElements where TScale : struct
    {
        bool ask = ahead.Step > 0;
        if (ask && (columns < 64 || rows > 1 && !Vector512.IsHardwareAccelerated)) Ask(ahead, count);
        if (rows == 1)
        {
            if (columns == 64 && ask) OneByFour<TElements, TScale, Asking>(a[0], c[0], b, count, ahead);
            else if (columns == 64) OneByFour<TElements, TScale, Silent>(a[0], c[0], b, count, ahead);
            else
                for (int j = 0; j < columns; j += Lanes.Count) One<TElements, TScale>(a[0], c[0] + j, b, j, count);
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
            if (ask) FourByFour<TElements, TScale, Asking>(a, c, b, count, ahead);
            else FourByFour<TElements, TScale, Silent>(a, c, b, count, ahead);
            return;
        }
        for (int j = 0; j < columns; j += Lanes.Count) Four<TElements, TScale>(a, c, b, j, count);
    }

    // 16 sums, 4 vectors of b, one broadcast, up to four scales: 25 of 32 registers.
    private static void FourByFour<TElements, TScale, TAsk>(float** a, float** c, in Operand b, int count, ReadAhead ahead) where TElements : struct, ICacheElements where TScale : struct where TAsk : struct
    {
        byte* first = ahead.First, second = ahead.Second, b0 = b.Low, b1 = b.High;
        int size = Lanes.Count * TElements.Size, stride = b.Stride;
        float* x0 = a[0], x1 = a[1], x2 = a[2], x3 = a[3], c0 = c[0], c1 = c[1], c2 = c[2], c3 = c[3];
        Vector512<float> p0 = b.Scale<TScale>(0), p1 = b.Scale<TScale>(16), p2 = b.Scale<TScale>(32), p3 = b.Scale<TScale>(48);
        Vector512<float> s00 = Vector512.Load(c0), s01 = Vector512.Load(c0 + 16), s02 = Vector512.Load(c0 + 32), s03 = Vector512.Load(c0 + 48);
        Vector512<float> s10 = Vector512.Load(c1), s11 = Vector512.Load(c1 + 16), s12 = Vector512.Load(c1 + 32), s13 = Vector512.Load(c1 + 48);
        Vector512<float> s20 = Vector512.Load(c2), s21 = Vector512.Load(c2 + 16), s22 = Vector512.Load(c2 + 32), s23 = Vector512.Load(c2 + 48);
        Vector512<float> s30 = Vector512.Load(c3), s31 = Vector512.Load(c3 + 16), s32 = Vector512.Load(c3 + 32), s33 = Vector512.Load(c3 + 48);
        for (int k = 0; k < count; k++)
        {
            if (typeof(TAsk) == typeof(Asking)) Ask(ref first, ref second, ahead.Step);
            if (typeof(TScale) == typeof(ScaledRows)) (p0, p2) = (b.RowScale(k, 0), b.RowScale(k, 32));
            if (typeof(TScale) == typeof(ScaledRows)) (p1, p3) = (p0, p2);
            Vector512<float> v0 = Load<TElements, TScale>(b0, p0), v1 = Load<TElements, TScale>(b0 + size, p1), v2 = Load<TElements, TScale>(b1, p2), v3 = Load<TElements, TScale>(b1 + size, p3);
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

    private static void OneByFour<TElements, TScale, TAsk>(float* x, float* c, in Operand b, int count, ReadAhead ahead) where TElements : struct, ICacheElements where TScale : struct where TAsk : struct
    {
        byte* first = ahead.First, second = ahead.Second, b0 = b.Low, b1 = b.High;
        int size = Lanes.Count * TElements.Size, stride = b.Stride;
        Vector512<float> p0 = b.Scale<TScale>(0), p1 = b.Scale<TScale>(16), p2 = b.Scale<TScale>(32), p3 = b.Scale<TScale>(48);
        Vector512<float> s0 = Vector512.Load(c), s1 = Vector512.Load(c + 16), s2 = Vector512.Load(c + 32), s3 = Vector512.Load(c + 48);
        for (int k = 0; k < count; k++)
        {
            if (typeof(TAsk) == typeof(Asking)) Ask(ref first, ref second, ahead.Step);
            if (typeof(TScale) == typeof(ScaledRows)) (p0, p2) = (b.RowScale(k, 0), b.RowScale(k, 32));
            if (typeof(TScale) == typeof(ScaledRows)) (p1, p3) = (p0, p2);
            var v = Vector512.Create(x[k]);
            s0 = Vector512.FusedMultiplyAdd(v, Load<TElements, TScale>(b0, p0), s0);
            s1 = Vector512.FusedMultiplyAdd(v, Load<TElements, TScale>(b0 + size, p1), s1);
            s2 = Vector512.FusedMultiplyAdd(v, Load<TElements, TScale>(b1, p2), s2);
            s3 = Vector512.FusedMultiplyAdd(v, Load<TElements, TScale>(b1 + size, p3), s3);
            b0 += stride;
            b1 += stride;
        }
        Store(c, s0, s1, s2, s3);
    }

    private static void Four<TElements, TScale>(float** a, float** c, in Operand b, int column, int count) where TElements : struct, ICacheElements where TScale : struct
    {
        byte* source = b.Column(column, TElements.Size);
        int stride = b.Stride;
        var scale = b.Scale<TScale>(column);
        float* x0 = a[0], x1 = a[1], x2 = a[2], x3 = a[3];
        Vector512<float> s0 = Vector512.Load(c[0] + column), s1 = Vector512.Load(c[1] + column), s2 = Vector512.Load(c[2] + column), s3 = Vector512.Load(c[3] + column);
        for (int k = 0; k < count; k++)
        {
            if (typeof(TScale) == typeof(ScaledRows)) scale = b.RowScale(k, column);
            var v = Load<TElements, TScale>(source, scale);
            source += stride;
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

    private static void One<TElements, TScale>(float* x, float* c, in Operand b, int column, int count) where TElements : struct, ICacheElements where TScale : struct
    {
        byte* source = b.Column(column, TElements.Size);
        var scale = b.Scale<TScale>(column);
        var s = Vector512.Load(c);
        for (int k = 0; k < count; k++, source += b.Stride)
        {
            if (typeof(TScale) == typeof(ScaledRows)) scale = b.RowScale(k, column);
            s = Vector512.FusedMultiplyAdd(Vector512.Create(x[k]), Load<TElements, TScale>(source, scale), s);
        }
        s.Store(c);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Load<TElements, TScale>(byte* source, Vector512<float> scale) where TElements : struct, ICacheElements where TScale : struct
        => typeof(TScale) == typeof(Unscaled) ? TElements.Load(source) : TElements.Load(source) * scale;

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
        Sse.Prefetch0(second);
        if (step > 64)
        {
            Sse.Prefetch0(first + 64);
            Sse.Prefetch0(second + 64);
        }
        first += step;
        second += step;
    }

    // Columns 0 … 31 and 32 … 63 of the first k, the bytes from one k to the next, and the scales of either half: F16 [32] of columns, or F32 [count] of rows.
    private readonly struct Operand(byte* low, byte* high, int stride, byte* lowScales = null, byte* highScales = null)
    {
        public readonly byte* Low = low, High = high;

        public readonly int Stride = stride;

        private readonly byte* _lowScales = lowScales, _highScales = highScales;

        public Operand(byte* low, int half, int stride) : this(low, low + half, stride) { }

        public byte* Column(int column, int size) => column < Half ? Low + column * size : High + (column - Half) * size;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Scale<TScale>(int column) where TScale : struct
            => typeof(TScale) == typeof(ScaledColumns) ? HalfElements.Load((column < Half ? _lowScales : _highScales) + column % Half * sizeof(ushort)) : default;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> RowScale(int k, int column) => Vector512.Create(((float*)(column < Half ? _lowScales : _highScales))[k]);
    }

    private readonly struct Unscaled;

    private readonly struct ScaledColumns;

    private readonly struct ScaledRows;

    private readonly struct Asking;

    private readonly struct Silent;
}
