using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Tare.Backends.Cpu.Numerics.Integers;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Rows of integer activations for a product: [rows] <see cref="QuantizedRow"/>s, <c>Stride</c> bytes apart.</summary>
internal readonly unsafe ref struct IntegerRows(byte* first, int stride, int width, bool wide)
{
    public readonly byte* First = first;
    public readonly int Stride = stride, Width = width;
    public readonly bool Wide = wide;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public QuantizedRow Row(int index) => new(First + (long)index * Stride, Width, Wide);
}

/// <summary>The scales of a tile as floats: scales [steps, groups, 16], minimums or what a center takes away [steps, 16].</summary>
internal readonly unsafe ref struct TileScales(float* scales, float* offsets)
{
    public readonly float* Scales = scales, Offsets = offsets;

    /// <summary>Those of the rows from <paramref name="lane"/> on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TileScales From(int lane) => new(Scales + lane, Offsets + lane);
}

/// <summary>
/// Products with integer activations over a range of outputs. Of each 32 values of k the sum of code products is exact; then y = fma(scale · activation scale, sum, y), and where the type has a minimum
/// or a center y = fma(minimum, activation scale · activation sum, y). What a row gets does not depend on the rows and outputs beside it, nor on the instruction set.
/// </summary>
internal static unsafe class IntegerKernels<T, L, TCodes, TNarrow, TSums, TFloats>
    where T : struct, IGroupedIntegers
    where L : struct, IIntegerLanes<TCodes, TNarrow, TSums, TFloats>
    where TCodes : struct where TNarrow : struct where TSums : struct where TFloats : struct
{
    private const int Step = 32, TileRows = 16, BlockSteps = TileLayout<T>.BlockSteps;

    private static bool HasOffset
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => T.HasMinimum || T.NibbleCenter > 0;
    }

    /// <summary>See <see cref="PackedMatrix.MultiplyIntegers"/>: y[r][o] = start[o] + Σ_k w[o, k] x[r][k] for one or two tiles of outputs: tile and, <paramref name="tileBytes"/> behind it, the next; start [16 · tiles], y [rows] rows of [16 · tiles] floats, <paramref name="yStride"/> floats apart.</summary>
    public static void Run(byte* tile, long tileBytes, int tiles, in IntegerRows x, int rows, float* start, float* y, long yStride, float* scratch)
    {
        int steps = x.Width / Step, r = 0;
        if (rows >= 4)
        {
            TileScales a = Expand(tile, steps, scratch), b = tiles == 2 ? Expand(tile + tileBytes, steps, scratch + steps * (TileLayout<T>.Groups + 1) * TileRows) : default;
            for (; r + 4 <= rows; r += 4)
            {
                if (L.HasManyRegisters && tiles == 2)
                {
                    if (x.Wide) FourWideByTwo(tile, tile + tileBytes, a, b, x, r, start, y + r * yStride, yStride);
                    else FourByTwo(tile, tile + tileBytes, a, b, x, r, start, y + r * yStride, yStride);
                    continue;
                }
                for (int first = 0; first < tiles * TileRows; first += L.Count)
                {
                    byte* codes = tile + first / TileRows * tileBytes + 4 * (first % TileRows);
                    var scales = (first < TileRows ? a : b).From(first % TileRows);
                    if (x.Wide) FourWideByOne(codes, scales, x, r, start + first, y + r * yStride + first, yStride);
                    else FourByOne(codes, scales, x, r, start + first, y + r * yStride + first, yStride);
                }
            }
        }
        for (; r < rows; r++)
            for (int t = 0; t < tiles; t++)
                for (int lane = 0; lane < TileRows; lane += L.Count)
                {
                    int first = t * TileRows + lane;
                    if (x.Wide) OneWide(tile + t * tileBytes, lane, x.Row(r), steps, start + first, y + r * yStride + first);
                    else One(tile + t * tileBytes, lane, x.Row(r), steps, start + first, y + r * yStride + first);
                }
    }

    // Scales and offsets as floats, for the many rows that will want them.
    private static TileScales Expand(byte* tile, int steps, float* target)
    {
        var result = new TileScales(target, target + steps * TileLayout<T>.Groups * TileRows);
        for (int lane = 0; lane < TileRows; lane += L.Count)
        {
            byte* at = tile;
            for (int done = 0; done < steps; done += BlockSteps)
            {
                int count = Math.Min(BlockSteps, steps - done);
                var block = new TileBlock<T>(at, count, lane);
                for (int i = 0; i < count; i++)
                {
                    for (int g = 0; g < TileLayout<T>.Groups; g++) L.Store(Scale(block, i, g), result.Scales + ((done + i) * TileLayout<T>.Groups + g) * TileRows + lane);
                    if (HasOffset) L.Store(Offset(block, i, L.Load(result.Scales + (done + i) * TileLayout<T>.Groups * TileRows + lane)), result.Offsets + (done + i) * TileRows + lane);
                }
                at += TileLayout<T>.BlockBytes(count);
            }
        }
        return result;
    }

    private static void FourByTwo(byte* a, byte* b, TileScales ta, TileScales tb, in IntegerRows x, int row, float* start, float* y, long yStride)
    {
        int steps = x.Width / Step;
        sbyte* c0 = x.Row(row).Codes, c1 = x.Row(row + 1).Codes, c2 = x.Row(row + 2).Codes, c3 = x.Row(row + 3).Codes;
        float* s0 = x.Row(row).Scales, s1 = x.Row(row + 1).Scales, s2 = x.Row(row + 2).Scales, s3 = x.Row(row + 3).Scales;
        TFloats ya0 = L.Load(start), ya1 = ya0, ya2 = ya0, ya3 = ya0, yb0 = L.Load(start + TileRows), yb1 = yb0, yb2 = yb0, yb3 = yb0;
        for (int s = 0; s < steps; s++)
        {
            TNarrow a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
            for (int j = 0; j < 4; j++, a += 64, b += 64, c0 += 4, c1 += 4, c2 += 4, c3 += 4)
            {
                TCodes bothA = L.Load(a), bothB = L.Load(b), lowA = L.Low(bothA), lowB = L.Low(bothB), highA = L.High(bothA), highB = L.High(bothB);
                a0 = L.MultiplyBytes(a0, lowA, c0);
                b0 = L.MultiplyBytes(b0, lowB, c0);
                a1 = L.MultiplyBytes(a1, lowA, c1);
                b1 = L.MultiplyBytes(b1, lowB, c1);
                a2 = L.MultiplyBytes(a2, lowA, c2);
                b2 = L.MultiplyBytes(b2, lowB, c2);
                a3 = L.MultiplyBytes(a3, lowA, c3);
                b3 = L.MultiplyBytes(b3, lowB, c3);
                a0 = L.MultiplyBytes(a0, highA, c0 + 16);
                b0 = L.MultiplyBytes(b0, highB, c0 + 16);
                a1 = L.MultiplyBytes(a1, highA, c1 + 16);
                b1 = L.MultiplyBytes(b1, highB, c1 + 16);
                a2 = L.MultiplyBytes(a2, highA, c2 + 16);
                b2 = L.MultiplyBytes(b2, highB, c2 + 16);
                a3 = L.MultiplyBytes(a3, highA, c3 + 16);
                b3 = L.MultiplyBytes(b3, highB, c3 + 16);
            }
            c0 += 16;
            c1 += 16;
            c2 += 16;
            c3 += 16;
            // Behind the codes of a block lie its numbers, which are at hand already.
            if ((s & (BlockSteps - 1)) == BlockSteps - 1)
            {
                a += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
                b += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
            }
            TFloats scale = L.Load(ta.Scales + s * TileRows), offset = HasOffset ? L.Load(ta.Offsets + s * TileRows) : default;
            ya0 = Finish(L.ToSingle(a0), scale, offset, s0 + s, steps, ya0);
            ya1 = Finish(L.ToSingle(a1), scale, offset, s1 + s, steps, ya1);
            ya2 = Finish(L.ToSingle(a2), scale, offset, s2 + s, steps, ya2);
            ya3 = Finish(L.ToSingle(a3), scale, offset, s3 + s, steps, ya3);
            scale = L.Load(tb.Scales + s * TileRows);
            offset = HasOffset ? L.Load(tb.Offsets + s * TileRows) : default;
            yb0 = Finish(L.ToSingle(b0), scale, offset, s0 + s, steps, yb0);
            yb1 = Finish(L.ToSingle(b1), scale, offset, s1 + s, steps, yb1);
            yb2 = Finish(L.ToSingle(b2), scale, offset, s2 + s, steps, yb2);
            yb3 = Finish(L.ToSingle(b3), scale, offset, s3 + s, steps, yb3);
        }
        Store(ya0, ya1, ya2, ya3, y, yStride);
        Store(yb0, yb1, yb2, yb3, y + TileRows, yStride);
    }

    private static void FourByOne(byte* a, TileScales t, in IntegerRows x, int row, float* start, float* y, long yStride)
    {
        int steps = x.Width / Step;
        sbyte* c0 = x.Row(row).Codes, c1 = x.Row(row + 1).Codes, c2 = x.Row(row + 2).Codes, c3 = x.Row(row + 3).Codes;
        float* s0 = x.Row(row).Scales, s1 = x.Row(row + 1).Scales, s2 = x.Row(row + 2).Scales, s3 = x.Row(row + 3).Scales;
        TFloats y0 = L.Load(start), y1 = y0, y2 = y0, y3 = y0;
        for (int s = 0; s < steps; s++)
        {
            TNarrow p0 = default, p1 = default, p2 = default, p3 = default;
            for (int j = 0; j < 4; j++, a += 64, c0 += 4, c1 += 4, c2 += 4, c3 += 4)
            {
                TCodes both = L.Load(a), low = L.Low(both);
                p0 = L.MultiplyBytes(p0, low, c0);
                p1 = L.MultiplyBytes(p1, low, c1);
                p2 = L.MultiplyBytes(p2, low, c2);
                p3 = L.MultiplyBytes(p3, low, c3);
                var high = L.High(both);
                p0 = L.MultiplyBytes(p0, high, c0 + 16);
                p1 = L.MultiplyBytes(p1, high, c1 + 16);
                p2 = L.MultiplyBytes(p2, high, c2 + 16);
                p3 = L.MultiplyBytes(p3, high, c3 + 16);
            }
            c0 += 16;
            c1 += 16;
            c2 += 16;
            c3 += 16;
            if ((s & (BlockSteps - 1)) == BlockSteps - 1) a += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
            TFloats scale = L.Load(t.Scales + s * TileRows), offset = HasOffset ? L.Load(t.Offsets + s * TileRows) : default;
            y0 = Finish(L.ToSingle(p0), scale, offset, s0 + s, steps, y0);
            y1 = Finish(L.ToSingle(p1), scale, offset, s1 + s, steps, y1);
            y2 = Finish(L.ToSingle(p2), scale, offset, s2 + s, steps, y2);
            y3 = Finish(L.ToSingle(p3), scale, offset, s3 + s, steps, y3);
        }
        Store(y0, y1, y2, y3, y, yStride);
    }

    private static void One(byte* tile, int lane, QuantizedRow row, int steps, float* start, float* y)
    {
        sbyte* c = row.Codes;
        float* scales = row.Scales;
        var sum = L.Load(start);
        for (int done = 0; done < steps; done += BlockSteps)
        {
            int count = Math.Min(BlockSteps, steps - done);
            var block = new TileBlock<T>(tile, count, lane);
            byte* codes = block.Codes;
            for (int i = 0; i < count; i++, c += 16, scales++)
            {
                TNarrow low = default, high = default;
                for (int j = 0; j < 4; j++, codes += 64, c += 4)
                {
                    Prefetch(codes);
                    var both = L.Load(codes);
                    low = L.MultiplyBytes(low, L.Low(both), c);
                    high = L.MultiplyBytes(high, L.High(both), c + 16);
                }
                Prefetch(block.ScalesOf(i, 0));
                var scale = Scale(block, i, 0);
                sum = Finish(L.ToSingle(L.Add(low, high)), scale, Offset(block, i, scale), scales, steps, sum);
            }
            tile += TileLayout<T>.BlockBytes(count);
        }
        L.Store(sum, y);
    }

    private static void FourWideByTwo(byte* a, byte* b, TileScales ta, TileScales tb, in IntegerRows x, int row, float* start, float* y, long yStride)
    {
        var table = Table(); // before the sums are loaded: the call would spill them
        int steps = x.Width / Step;
        short* c0 = x.Row(row).WideCodes, c1 = x.Row(row + 1).WideCodes, c2 = x.Row(row + 2).WideCodes, c3 = x.Row(row + 3).WideCodes;
        float* s0 = x.Row(row).Scales, s1 = x.Row(row + 1).Scales, s2 = x.Row(row + 2).Scales, s3 = x.Row(row + 3).Scales;
        TFloats ya0 = L.Load(start), ya1 = ya0, ya2 = ya0, ya3 = ya0, yb0 = L.Load(start + TileRows), yb1 = yb0, yb2 = yb0, yb3 = yb0;
        for (int s = 0; s < steps; s++)
        {
            for (int g = 0; g < 2; g++, c0 += 16, c1 += 16, c2 += 16, c3 += 16)
            {
                TSums a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
                for (int j = 0; j < 4; j++)
                {
                    TCodes codesA = Codes(a, 4 * g + j, table), codesB = Codes(b, 4 * g + j, table);
                    var evenA = L.Even(codesA);
                    var evenB = L.Even(codesB);
                    a0 = L.MultiplyShorts(a0, evenA, c0 + 4 * j);
                    b0 = L.MultiplyShorts(b0, evenB, c0 + 4 * j);
                    a1 = L.MultiplyShorts(a1, evenA, c1 + 4 * j);
                    b1 = L.MultiplyShorts(b1, evenB, c1 + 4 * j);
                    a2 = L.MultiplyShorts(a2, evenA, c2 + 4 * j);
                    b2 = L.MultiplyShorts(b2, evenB, c2 + 4 * j);
                    a3 = L.MultiplyShorts(a3, evenA, c3 + 4 * j);
                    b3 = L.MultiplyShorts(b3, evenB, c3 + 4 * j);
                    var oddA = L.Odd(codesA);
                    var oddB = L.Odd(codesB);
                    a0 = L.MultiplyShorts(a0, oddA, c0 + 4 * j + 2);
                    b0 = L.MultiplyShorts(b0, oddB, c0 + 4 * j + 2);
                    a1 = L.MultiplyShorts(a1, oddA, c1 + 4 * j + 2);
                    b1 = L.MultiplyShorts(b1, oddB, c1 + 4 * j + 2);
                    a2 = L.MultiplyShorts(a2, oddA, c2 + 4 * j + 2);
                    b2 = L.MultiplyShorts(b2, oddB, c2 + 4 * j + 2);
                    a3 = L.MultiplyShorts(a3, oddA, c3 + 4 * j + 2);
                    b3 = L.MultiplyShorts(b3, oddB, c3 + 4 * j + 2);
                }
                var scaleA = L.Load(ta.Scales + (s * TileLayout<T>.Groups + (TileLayout<T>.Groups == 2 ? g : 0)) * TileRows);
                ya0 = L.MultiplyAdd(L.Multiply(scaleA, s0 + s), L.ToSingle(a0), ya0);
                ya1 = L.MultiplyAdd(L.Multiply(scaleA, s1 + s), L.ToSingle(a1), ya1);
                ya2 = L.MultiplyAdd(L.Multiply(scaleA, s2 + s), L.ToSingle(a2), ya2);
                ya3 = L.MultiplyAdd(L.Multiply(scaleA, s3 + s), L.ToSingle(a3), ya3);
                var scaleB = L.Load(tb.Scales + (s * TileLayout<T>.Groups + (TileLayout<T>.Groups == 2 ? g : 0)) * TileRows);
                yb0 = L.MultiplyAdd(L.Multiply(scaleB, s0 + s), L.ToSingle(b0), yb0);
                yb1 = L.MultiplyAdd(L.Multiply(scaleB, s1 + s), L.ToSingle(b1), yb1);
                yb2 = L.MultiplyAdd(L.Multiply(scaleB, s2 + s), L.ToSingle(b2), yb2);
                yb3 = L.MultiplyAdd(L.Multiply(scaleB, s3 + s), L.ToSingle(b3), yb3);
            }
            a += TileLayout<T>.CodeBytes;
            b += TileLayout<T>.CodeBytes;
            // Behind the codes of a block lie its numbers, which are at hand already.
            if ((s & (BlockSteps - 1)) == BlockSteps - 1)
            {
                a += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
                b += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
            }
            if (!T.HasMinimum) continue;
            var minimumA = L.Load(ta.Offsets + s * TileRows);
            ya0 = L.MultiplyAdd(minimumA, s0 + steps + s, ya0);
            ya1 = L.MultiplyAdd(minimumA, s1 + steps + s, ya1);
            ya2 = L.MultiplyAdd(minimumA, s2 + steps + s, ya2);
            ya3 = L.MultiplyAdd(minimumA, s3 + steps + s, ya3);
            var minimumB = L.Load(tb.Offsets + s * TileRows);
            yb0 = L.MultiplyAdd(minimumB, s0 + steps + s, yb0);
            yb1 = L.MultiplyAdd(minimumB, s1 + steps + s, yb1);
            yb2 = L.MultiplyAdd(minimumB, s2 + steps + s, yb2);
            yb3 = L.MultiplyAdd(minimumB, s3 + steps + s, yb3);
        }
        Store(ya0, ya1, ya2, ya3, y, yStride);
        Store(yb0, yb1, yb2, yb3, y + TileRows, yStride);
    }

    private static void FourWideByOne(byte* a, TileScales ta, in IntegerRows x, int row, float* start, float* y, long yStride)
    {
        var table = Table(); // before the sums are loaded: the call would spill them
        int steps = x.Width / Step;
        short* c0 = x.Row(row).WideCodes, c1 = x.Row(row + 1).WideCodes, c2 = x.Row(row + 2).WideCodes, c3 = x.Row(row + 3).WideCodes;
        float* s0 = x.Row(row).Scales, s1 = x.Row(row + 1).Scales, s2 = x.Row(row + 2).Scales, s3 = x.Row(row + 3).Scales;
        TFloats ya0 = L.Load(start), ya1 = ya0, ya2 = ya0, ya3 = ya0;
        for (int s = 0; s < steps; s++)
        {
            for (int g = 0; g < 2; g++, c0 += 16, c1 += 16, c2 += 16, c3 += 16)
            {
                TSums a0 = default, a1 = default, a2 = default, a3 = default;
                for (int j = 0; j < 4; j++)
                {
                    TCodes codesA = Codes(a, 4 * g + j, table);
                    var evenA = L.Even(codesA);
                    a0 = L.MultiplyShorts(a0, evenA, c0 + 4 * j);
                    a1 = L.MultiplyShorts(a1, evenA, c1 + 4 * j);
                    a2 = L.MultiplyShorts(a2, evenA, c2 + 4 * j);
                    a3 = L.MultiplyShorts(a3, evenA, c3 + 4 * j);
                    var oddA = L.Odd(codesA);
                    a0 = L.MultiplyShorts(a0, oddA, c0 + 4 * j + 2);
                    a1 = L.MultiplyShorts(a1, oddA, c1 + 4 * j + 2);
                    a2 = L.MultiplyShorts(a2, oddA, c2 + 4 * j + 2);
                    a3 = L.MultiplyShorts(a3, oddA, c3 + 4 * j + 2);
                }
                var scaleA = L.Load(ta.Scales + (s * TileLayout<T>.Groups + (TileLayout<T>.Groups == 2 ? g : 0)) * TileRows);
                ya0 = L.MultiplyAdd(L.Multiply(scaleA, s0 + s), L.ToSingle(a0), ya0);
                ya1 = L.MultiplyAdd(L.Multiply(scaleA, s1 + s), L.ToSingle(a1), ya1);
                ya2 = L.MultiplyAdd(L.Multiply(scaleA, s2 + s), L.ToSingle(a2), ya2);
                ya3 = L.MultiplyAdd(L.Multiply(scaleA, s3 + s), L.ToSingle(a3), ya3);
            }
            a += TileLayout<T>.CodeBytes;
            if ((s & (BlockSteps - 1)) == BlockSteps - 1) a += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
            if (!T.HasMinimum) continue;
            var minimumA = L.Load(ta.Offsets + s * TileRows);
            ya0 = L.MultiplyAdd(minimumA, s0 + steps + s, ya0);
            ya1 = L.MultiplyAdd(minimumA, s1 + steps + s, ya1);
            ya2 = L.MultiplyAdd(minimumA, s2 + steps + s, ya2);
            ya3 = L.MultiplyAdd(minimumA, s3 + steps + s, ya3);
        }
        Store(ya0, ya1, ya2, ya3, y, yStride);
    }

    private static void OneWide(byte* tile, int lane, QuantizedRow row, int steps, float* start, float* y)
    {
        var table = Table();
        short* c = row.WideCodes;
        float* scales = row.Scales;
        var sum = L.Load(start);
        for (int done = 0; done < steps; done += BlockSteps)
        {
            int count = Math.Min(BlockSteps, steps - done);
            var block = new TileBlock<T>(tile, count, lane);
            for (int i = 0; i < count; i++, scales++)
            {
                for (int g = 0; g < 2; g++, c += 16)
                {
                    TSums even = default, odd = default;
                    for (int j = 0; j < 4; j++)
                    {
                        byte* step = block.Codes + i * TileLayout<T>.CodeBytes;
                        Prefetch(step + (4 * g + j) * 64);
                        var codes = Codes(step, 4 * g + j, table);
                        even = L.MultiplyShorts(even, L.Even(codes), c + 4 * j);
                        odd = L.MultiplyShorts(odd, L.Odd(codes), c + 4 * j + 2);
                    }
                    sum = L.MultiplyAdd(L.Multiply(Scale(block, i, TileLayout<T>.Groups == 2 ? g : 0), scales), L.ToSingle(L.Add(even, odd)), sum);
                }
                if (T.HasMinimum) sum = L.MultiplyAdd(Minimum(block, i), scales + steps, sum);
            }
            tile += TileLayout<T>.BlockBytes(count);
        }
        L.Store(sum, y);
    }

    // A single row waits for memory; the processor's own prefetching stops at page ends and hardly follows a block's two regions.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch(byte* address)
    {
        if (Sse.IsSupported) Sse.Prefetch0(address + 2 * TileLayout<T>.BlockBytes(BlockSteps));
    }

    // Values 4j … 4j + 3 of a step as signed bytes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TCodes Codes(byte* step, int j, TCodes table)
    {
        if (!T.IsNibble) return L.Load(step + j * 64);
        var both = L.Load(step + (j & 3) * 64);
        return L.LookUp(table, j < 4 ? L.Low(both) : L.High(both));
    }

    private static TCodes Table()
    {
        sbyte* values = stackalloc sbyte[16];
        for (int i = 0; i < T.Table.Length; i++) values[i] = (sbyte)T.Table[i];
        return L.Table(values);
    }

    // With a minimum: that; with a center: −center · scale, exactly, as the center is a power of two; else unused.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats Offset(in TileBlock<T> block, int step, TFloats scale)
        => T.HasMinimum ? Minimum(block, step) : T.NibbleCenter > 0 ? L.Multiply(scale, -(float)T.NibbleCenter) : default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats Finish(TFloats sum, TFloats scale, TFloats offset, float* activationScale, int steps, TFloats y)
    {
        y = L.MultiplyAdd(L.Multiply(scale, activationScale), sum, y);
        return HasOffset ? L.MultiplyAdd(offset, activationScale + steps, y) : y;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats Scale(in TileBlock<T> block, int step, int group)
    {
        byte* numbers = block.ScalesOf(step, group);
        return T.Scales switch
        {
            ScaleForm.Half => L.LoadHalfs((ushort*)numbers),
            ScaleForm.Power => L.LoadPowers(numbers),
            _ => L.Multiply(L.LoadHalfs(block.Factor(0)), L.LoadBytes((sbyte*)numbers)), // unsigned ones have six bits
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats Minimum(in TileBlock<T> block, int step)
    {
        byte* numbers = block.MinimumsOf(step);
        return T.Scales == ScaleForm.Half ? L.LoadHalfs((ushort*)numbers) : L.Multiply(L.Multiply(L.LoadHalfs(block.Factor(1)), L.LoadBytes((sbyte*)numbers)), -1f);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(TFloats y0, TFloats y1, TFloats y2, TFloats y3, float* y, long stride)
    {
        L.Store(y0, y);
        L.Store(y1, y + stride);
        L.Store(y2, y + 2 * stride);
        L.Store(y3, y + 3 * stride);
    }
}
