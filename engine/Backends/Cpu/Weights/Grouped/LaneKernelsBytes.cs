using System.Runtime.CompilerServices;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Weights.Grouped;

// Codes of five and six bits times bytes: with what the center takes away, sums of 16 products fit into I16 although they wrap around on the way.
internal sealed unsafe partial class LaneKernels<T, L, TCodes, TNarrow, TSums, TFloats>
{
    [MethodImpl(AtFirstCall.Compiled)]
    private static void FourBytesByTwo(TilePanel a, TilePanel b, in FourRows x, int steps, float* from, long fromStride, float* y, long yStride)
    {
        sbyte* c0 = x.Codes, c1 = c0 + x.Stride, c2 = c1 + x.Stride, c3 = c2 + x.Stride;
        int stride = x.Stride / sizeof(float);
        float* scales = x.Scales;
        byte* aCodes = a.Codes;
        byte* bCodes = b.Codes;
        TFloats ya0 = L.Load(from), ya1 = L.Load(from + fromStride), ya2 = L.Load(from + 2 * fromStride), ya3 = L.Load(from + 3 * fromStride);
        TFloats yb0 = L.Load(from + TileRows), yb1 = L.Load(from + fromStride + TileRows), yb2 = L.Load(from + 2 * fromStride + TileRows), yb3 = L.Load(from + 3 * fromStride + TileRows);
        for (int s = 0; s < steps; s++)
        {
            TNarrow a0 = HasIntegerScales ? L.Start(x.HalfStarts + 2 * s, StartShift) : L.Start(x.Starts + s, StartShift), b0 = a0;
            TNarrow a1 = HasIntegerScales ? L.Start(x.HalfStarts + stride + 2 * s, StartShift) : L.Start(x.Starts + stride + s, StartShift), b1 = a1;
            TNarrow a2 = HasIntegerScales ? L.Start(x.HalfStarts + 2 * stride + 2 * s, StartShift) : L.Start(x.Starts + 2 * stride + s, StartShift), b2 = a2;
            TNarrow a3 = HasIntegerScales ? L.Start(x.HalfStarts + 3 * stride + 2 * s, StartShift) : L.Start(x.Starts + 3 * stride + s, StartShift), b3 = a3;
            for (int j = 0; j < 4; j++, aCodes += 64, bCodes += 64, c0 += 4, c1 += 4, c2 += 4, c3 += 4)
            {
                TCodes codesA = L.Load(aCodes), codesB = L.Load(bCodes);
                a0 = L.MultiplyBytes(a0, codesA, c0);
                b0 = L.MultiplyBytes(b0, codesB, c0);
                a1 = L.MultiplyBytes(a1, codesA, c1);
                b1 = L.MultiplyBytes(b1, codesB, c1);
                a2 = L.MultiplyBytes(a2, codesA, c2);
                b2 = L.MultiplyBytes(b2, codesB, c2);
                a3 = L.MultiplyBytes(a3, codesA, c3);
                b3 = L.MultiplyBytes(b3, codesB, c3);
            }
            TSums aSum0 = default, aSum1 = default, aSum2 = default, aSum3 = default, bSum0 = default, bSum1 = default, bSum2 = default, bSum3 = default;
            if (HasIntegerScales)
            {
                aSum0 = L.Scale(a0, L.LoadScales(a.IntegerScales + 2 * s * TileRows));
                aSum1 = L.Scale(a1, L.LoadScales(a.IntegerScales + 2 * s * TileRows));
                aSum2 = L.Scale(a2, L.LoadScales(a.IntegerScales + 2 * s * TileRows));
                aSum3 = L.Scale(a3, L.LoadScales(a.IntegerScales + 2 * s * TileRows));
                bSum0 = L.Scale(b0, L.LoadScales(b.IntegerScales + 2 * s * TileRows));
                bSum1 = L.Scale(b1, L.LoadScales(b.IntegerScales + 2 * s * TileRows));
                bSum2 = L.Scale(b2, L.LoadScales(b.IntegerScales + 2 * s * TileRows));
                bSum3 = L.Scale(b3, L.LoadScales(b.IntegerScales + 2 * s * TileRows));
                a0 = L.Start(x.HalfStarts + 2 * s + 1, StartShift);
                b0 = a0;
                a1 = L.Start(x.HalfStarts + stride + 2 * s + 1, StartShift);
                b1 = a1;
                a2 = L.Start(x.HalfStarts + 2 * stride + 2 * s + 1, StartShift);
                b2 = a2;
                a3 = L.Start(x.HalfStarts + 3 * stride + 2 * s + 1, StartShift);
                b3 = a3;
            }
            for (int j = 0; j < 4; j++, aCodes += 64, bCodes += 64, c0 += 4, c1 += 4, c2 += 4, c3 += 4)
            {
                TCodes codesA = L.Load(aCodes), codesB = L.Load(bCodes);
                a0 = L.MultiplyBytes(a0, codesA, c0);
                b0 = L.MultiplyBytes(b0, codesB, c0);
                a1 = L.MultiplyBytes(a1, codesA, c1);
                b1 = L.MultiplyBytes(b1, codesB, c1);
                a2 = L.MultiplyBytes(a2, codesA, c2);
                b2 = L.MultiplyBytes(b2, codesB, c2);
                a3 = L.MultiplyBytes(a3, codesA, c3);
                b3 = L.MultiplyBytes(b3, codesB, c3);
            }
            if (T.Bias == 0 && (s & (BlockSteps - 1)) == BlockSteps - 1)
            {
                aCodes += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
                bCodes += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
            }
            AddProducts(ref ya0, ref ya1, ref ya2, ref ya3, L.Load(a.Scales + s * TileRows), scales + s, stride, Total(aSum0, a0, a.IntegerScales + (2 * s + 1) * TileRows), Total(aSum1, a1, a.IntegerScales + (2 * s + 1) * TileRows), Total(aSum2, a2, a.IntegerScales + (2 * s + 1) * TileRows), Total(aSum3, a3, a.IntegerScales + (2 * s + 1) * TileRows));
            AddProducts(ref yb0, ref yb1, ref yb2, ref yb3, L.Load(b.Scales + s * TileRows), scales + s, stride, Total(bSum0, b0, b.IntegerScales + (2 * s + 1) * TileRows), Total(bSum1, b1, b.IntegerScales + (2 * s + 1) * TileRows), Total(bSum2, b2, b.IntegerScales + (2 * s + 1) * TileRows), Total(bSum3, b3, b.IntegerScales + (2 * s + 1) * TileRows));
            if (!T.HasMinimum) continue;
            AddMinimums(ref ya0, ref ya1, ref ya2, ref ya3, L.Load(a.Offsets + s * TileRows), x.Sums + s, stride);
            AddMinimums(ref yb0, ref yb1, ref yb2, ref yb3, L.Load(b.Offsets + s * TileRows), x.Sums + s, stride);
        }
        Store(ya0, ya1, ya2, ya3, y, yStride);
        Store(yb0, yb1, yb2, yb3, y + TileRows, yStride);
    }

    [MethodImpl(AtFirstCall.Compiled)]
    private static void FourBytesByOne(TilePanel a, in FourRows x, int steps, float* from, long fromStride, float* y, long yStride)
    {
        sbyte* c0 = x.Codes, c1 = c0 + x.Stride, c2 = c1 + x.Stride, c3 = c2 + x.Stride;
        int stride = x.Stride / sizeof(float);
        float* scales = x.Scales;
        byte* aCodes = a.Codes;
        TFloats ya0 = L.Load(from), ya1 = L.Load(from + fromStride), ya2 = L.Load(from + 2 * fromStride), ya3 = L.Load(from + 3 * fromStride);
        for (int s = 0; s < steps; s++)
        {
            TNarrow a0 = HasIntegerScales ? L.Start(x.HalfStarts + 2 * s, StartShift) : L.Start(x.Starts + s, StartShift);
            TNarrow a1 = HasIntegerScales ? L.Start(x.HalfStarts + stride + 2 * s, StartShift) : L.Start(x.Starts + stride + s, StartShift);
            TNarrow a2 = HasIntegerScales ? L.Start(x.HalfStarts + 2 * stride + 2 * s, StartShift) : L.Start(x.Starts + 2 * stride + s, StartShift);
            TNarrow a3 = HasIntegerScales ? L.Start(x.HalfStarts + 3 * stride + 2 * s, StartShift) : L.Start(x.Starts + 3 * stride + s, StartShift);
            for (int j = 0; j < 4; j++, aCodes += 64, c0 += 4, c1 += 4, c2 += 4, c3 += 4)
            {
                TCodes codesA = L.Load(aCodes);
                a0 = L.MultiplyBytes(a0, codesA, c0);
                a1 = L.MultiplyBytes(a1, codesA, c1);
                a2 = L.MultiplyBytes(a2, codesA, c2);
                a3 = L.MultiplyBytes(a3, codesA, c3);
            }
            TSums aSum0 = default, aSum1 = default, aSum2 = default, aSum3 = default;
            if (HasIntegerScales)
            {
                aSum0 = L.Scale(a0, L.LoadScales(a.IntegerScales + 2 * s * TileRows));
                aSum1 = L.Scale(a1, L.LoadScales(a.IntegerScales + 2 * s * TileRows));
                aSum2 = L.Scale(a2, L.LoadScales(a.IntegerScales + 2 * s * TileRows));
                aSum3 = L.Scale(a3, L.LoadScales(a.IntegerScales + 2 * s * TileRows));
                a0 = L.Start(x.HalfStarts + 2 * s + 1, StartShift);
                a1 = L.Start(x.HalfStarts + stride + 2 * s + 1, StartShift);
                a2 = L.Start(x.HalfStarts + 2 * stride + 2 * s + 1, StartShift);
                a3 = L.Start(x.HalfStarts + 3 * stride + 2 * s + 1, StartShift);
            }
            for (int j = 0; j < 4; j++, aCodes += 64, c0 += 4, c1 += 4, c2 += 4, c3 += 4)
            {
                TCodes codesA = L.Load(aCodes);
                a0 = L.MultiplyBytes(a0, codesA, c0);
                a1 = L.MultiplyBytes(a1, codesA, c1);
                a2 = L.MultiplyBytes(a2, codesA, c2);
                a3 = L.MultiplyBytes(a3, codesA, c3);
            }
            if (T.Bias == 0 && (s & (BlockSteps - 1)) == BlockSteps - 1) aCodes += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
            AddProducts(ref ya0, ref ya1, ref ya2, ref ya3, L.Load(a.Scales + s * TileRows), scales + s, stride, Total(aSum0, a0, a.IntegerScales + (2 * s + 1) * TileRows), Total(aSum1, a1, a.IntegerScales + (2 * s + 1) * TileRows), Total(aSum2, a2, a.IntegerScales + (2 * s + 1) * TileRows), Total(aSum3, a3, a.IntegerScales + (2 * s + 1) * TileRows));
            if (!T.HasMinimum) continue;
            AddMinimums(ref ya0, ref ya1, ref ya2, ref ya3, L.Load(a.Offsets + s * TileRows), x.Sums + s, stride);
        }
        Store(ya0, ya1, ya2, ya3, y, yStride);
    }

    // Products of a step: with integer scales those of the first half are scaled already.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats Total(TSums first, TNarrow second, int* scales) => HasIntegerScales ? L.ToSingle(L.Add(first, L.Scale(second, L.LoadScales(scales)))) : L.ToSingle(second);
}
