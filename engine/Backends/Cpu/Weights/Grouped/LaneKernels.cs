using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Tare.Backends.Cpu.Numerics;
using Tare.Backends.Cpu.Numerics.Integers;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>
/// Products of one instruction set. Integer activations: of each 32 values of k the sum of code products is exact; then y = fma(scale · activation scale, sum, y), and where the type has a minimum
/// y = fma(minimum, activation scale · activation sum, y). Many rows go over the weights panel by panel of k, each small enough for the first cache, four rows at a time; a few rows read the tiles as they lie.
/// What a row gets does not depend on the rows and outputs beside it, nor on the instruction set.
/// </summary>
internal sealed unsafe partial class LaneKernels<T, L, TCodes, TNarrow, TSums, TFloats> : GroupedKernels<T>
    where T : struct, IGroupedIntegers
    where L : struct, IIntegerLanes<TCodes, TNarrow, TSums, TFloats>
    where TCodes : struct where TNarrow : struct where TSums : struct where TFloats : struct
{
    private const int Step = 32, TileRows = 16, BlockSteps = TileLayout<T>.BlockSteps;

    [MethodImpl(AtFirstCall.Compiled)]
    public override void MultiplyIntegers(byte* tile, long tileBytes, int tiles, int steps, in IntegerRows x, int rows, float* from, long fromStride, float* y, long yStride, float* scratch)
    {
        int many = rows & ~3, most = x.Wide || !T.IsNibble ? TilePanel.Steps / 2 : TilePanel.Steps;
        float* sums = scratch + 2 * TilePanel.Floats; // [rows, 2 · 16] between panels: rows of y may lie so far apart that they push each other out of the cache
        if (many > 0)
            for (int done = 0; done < steps; done += most)
            {
                int count = Math.Min(most, steps - done);
                byte* at = tile + TileLayout<T>.BlockAt(done / BlockSteps);
                var ahead = new Ahead(done + count < steps ? at + TileLayout<T>.BlockAt(most / BlockSteps) : tile + tiles * tileBytes, tileBytes, TileLayout<T>.BlockAt(most / BlockSteps), many / 4);
                TilePanel a = Expand(at, count, x.Wide, scratch), b = tiles == 2 ? Expand(at + tileBytes, count, x.Wide, scratch + TilePanel.Floats) : default;
                for (int r = 0; r < many; r += 4)
                {
                    ahead.Fetch(r / 4);
                    float* sum = sums + (long)r * 2 * TileRows;
                    bool first = done == 0, last = done + count == steps;
                    Four(a, b, tiles, new FourRows(x, r, done), count, first ? from + r * fromStride : sum, first ? fromStride : 2 * TileRows, last ? y + r * yStride : sum, last ? yStride : 2 * TileRows);
                }
            }
        for (int r = many; r < rows; r++)
            for (int t = 0; t < tiles; t++)
                for (int lane = 0; lane < TileRows; lane += L.Count)
                {
                    int first = t * TileRows + lane;
                    if (x.Wide) OneWide(tile + t * tileBytes, lane, x, r, steps, from + r * fromStride + first, y + r * yStride + first);
                    else One(tile + t * tileBytes, lane, x, r, steps, from + r * fromStride + first, y + r * yStride + first);
                }
    }

    private static void Four(TilePanel a, TilePanel b, int tiles, in FourRows x, int steps, float* from, long fromStride, float* y, long yStride)
    {
        if (L.HasManyRegisters && tiles == 2)
        {
            if (x.Wide) FourWideByTwo(a, b, x, steps, from, fromStride, y, yStride);
            else if (T.IsNibble) FourNibblesByTwo(a, b, x, steps, from, fromStride, y, yStride);
            else FourBytesByTwo(a, b, x, steps, from, fromStride, y, yStride);
            return;
        }
        for (int first = 0; first < tiles * TileRows; first += L.Count)
        {
            var panel = (first < TileRows ? a : b).From(first % TileRows);
            if (x.Wide) FourWideByOne(panel, x, steps, from + first, fromStride, y + first, yStride);
            else if (T.IsNibble) FourNibblesByOne(panel, x, steps, from + first, fromStride, y + first, yStride);
            else FourBytesByOne(panel, x, steps, from + first, fromStride, y + first, yStride);
        }
    }

    // y += scale · activation scale · products, of four rows whose scales lie a stride apart.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddProducts(ref TFloats y0, ref TFloats y1, ref TFloats y2, ref TFloats y3, TFloats scale, float* scales, int stride, TFloats p0, TFloats p1, TFloats p2, TFloats p3)
    {
        y0 = L.MultiplyAdd(L.Multiply(scale, scales), p0, y0);
        y1 = L.MultiplyAdd(L.Multiply(scale, scales + stride), p1, y1);
        y2 = L.MultiplyAdd(L.Multiply(scale, scales + 2 * stride), p2, y2);
        y3 = L.MultiplyAdd(L.Multiply(scale, scales + 3 * stride), p3, y3);
    }

    // y += minimum · activation scale · sum of activations, of four rows.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddMinimums(ref TFloats y0, ref TFloats y1, ref TFloats y2, ref TFloats y3, TFloats minimum, float* sums, int stride)
    {
        y0 = L.MultiplyAdd(minimum, sums, y0);
        y1 = L.MultiplyAdd(minimum, sums + stride, y1);
        y2 = L.MultiplyAdd(minimum, sums + 2 * stride, y2);
        y3 = L.MultiplyAdd(minimum, sums + 3 * stride, y3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(TFloats y0, TFloats y1, TFloats y2, TFloats y3, float* y, long stride)
    {
        L.Store(y0, y);
        L.Store(y1, y + stride);
        L.Store(y2, y + 2 * stride);
        L.Store(y3, y + 3 * stride);
    }

    // A single row waits for memory; the processor's own prefetching stops at page ends and hardly follows a block's two regions.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch(byte* address)
    {
        if (Sse.IsSupported) Sse.Prefetch0(address + 2 * TileLayout<T>.BlockBytes(BlockSteps));
    }

    // The panel that comes next, fetched piece by piece while rows go over this one: two tiles, a number of bytes of each.
    private readonly ref struct Ahead(byte* first, long tileBytes, long bytes, int parts)
    {
        private readonly long _part = (bytes / parts + 63) & ~63L;
        private readonly byte* _first = first;
        private readonly long _tileBytes = tileBytes, _bytes = bytes;

        public void Fetch(int part)
        {
            if (!Sse.IsSupported) return;
            for (long at = part * _part, end = Math.Min(at + _part, _bytes); at < end; at += 64)
            {
                Sse.Prefetch1(_first + at);
                Sse.Prefetch1(_first + _tileBytes + at);
            }
        }
    }
}
