using System.Runtime.CompilerServices;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Weights.Grouped;

// Nibbles times bytes.
internal sealed unsafe partial class LaneKernels<T, L, TCodes, TNarrow, TSums, TFloats>
{
    [MethodImpl(AtFirstCall.Compiled)]
    private static void FourNibblesByTwo(TilePanel a, TilePanel b, in FourRows x, int steps, float* from, long fromStride, float* y, long yStride)
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
            TNarrow a0 = T.Center > 0 ? L.Start(x.Starts + s, StartShift) : default, b0 = a0;
            TNarrow a1 = T.Center > 0 ? L.Start(x.Starts + stride + s, StartShift) : default, b1 = a1;
            TNarrow a2 = T.Center > 0 ? L.Start(x.Starts + 2 * stride + s, StartShift) : default, b2 = a2;
            TNarrow a3 = T.Center > 0 ? L.Start(x.Starts + 3 * stride + s, StartShift) : default, b3 = a3;
            for (int j = 0; j < 4; j++, aCodes += 64, bCodes += 64, c0 += 4, c1 += 4, c2 += 4, c3 += 4)
            {
                TCodes bothA = L.Load(aCodes), bothB = L.Load(bCodes), lowA = L.Low(bothA), lowB = L.Low(bothB), highA = L.High(bothA), highB = L.High(bothB);
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
                aCodes += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
                bCodes += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
            }
            AddProducts(ref ya0, ref ya1, ref ya2, ref ya3, L.Load(a.Scales + s * TileRows), scales + s, stride, L.ToSingle(a0), L.ToSingle(a1), L.ToSingle(a2), L.ToSingle(a3));
            AddProducts(ref yb0, ref yb1, ref yb2, ref yb3, L.Load(b.Scales + s * TileRows), scales + s, stride, L.ToSingle(b0), L.ToSingle(b1), L.ToSingle(b2), L.ToSingle(b3));
            if (!T.HasMinimum) continue;
            AddMinimums(ref ya0, ref ya1, ref ya2, ref ya3, L.Load(a.Offsets + s * TileRows), x.Sums + s, stride);
            AddMinimums(ref yb0, ref yb1, ref yb2, ref yb3, L.Load(b.Offsets + s * TileRows), x.Sums + s, stride);
        }
        Store(ya0, ya1, ya2, ya3, y, yStride);
        Store(yb0, yb1, yb2, yb3, y + TileRows, yStride);
    }

    [MethodImpl(AtFirstCall.Compiled)]
    private static void FourNibblesByOne(TilePanel a, in FourRows x, int steps, float* from, long fromStride, float* y, long yStride)
    {
        sbyte* c0 = x.Codes, c1 = c0 + x.Stride, c2 = c1 + x.Stride, c3 = c2 + x.Stride;
        int stride = x.Stride / sizeof(float);
        float* scales = x.Scales;
        byte* aCodes = a.Codes;
        TFloats ya0 = L.Load(from), ya1 = L.Load(from + fromStride), ya2 = L.Load(from + 2 * fromStride), ya3 = L.Load(from + 3 * fromStride);
        for (int s = 0; s < steps; s++)
        {
            TNarrow a0 = T.Center > 0 ? L.Start(x.Starts + s, StartShift) : default;
            TNarrow a1 = T.Center > 0 ? L.Start(x.Starts + stride + s, StartShift) : default;
            TNarrow a2 = T.Center > 0 ? L.Start(x.Starts + 2 * stride + s, StartShift) : default;
            TNarrow a3 = T.Center > 0 ? L.Start(x.Starts + 3 * stride + s, StartShift) : default;
            for (int j = 0; j < 4; j++, aCodes += 64, c0 += 4, c1 += 4, c2 += 4, c3 += 4)
            {
                TCodes bothA = L.Load(aCodes), lowA = L.Low(bothA), highA = L.High(bothA);
                a0 = L.MultiplyBytes(a0, lowA, c0);
                a1 = L.MultiplyBytes(a1, lowA, c1);
                a2 = L.MultiplyBytes(a2, lowA, c2);
                a3 = L.MultiplyBytes(a3, lowA, c3);
                a0 = L.MultiplyBytes(a0, highA, c0 + 16);
                a1 = L.MultiplyBytes(a1, highA, c1 + 16);
                a2 = L.MultiplyBytes(a2, highA, c2 + 16);
                a3 = L.MultiplyBytes(a3, highA, c3 + 16);
            }
            c0 += 16;
            c1 += 16;
            c2 += 16;
            c3 += 16;
            // Behind the codes of a block lie its numbers, which are at hand already.
            if ((s & (BlockSteps - 1)) == BlockSteps - 1) aCodes += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
            AddProducts(ref ya0, ref ya1, ref ya2, ref ya3, L.Load(a.Scales + s * TileRows), scales + s, stride, L.ToSingle(a0), L.ToSingle(a1), L.ToSingle(a2), L.ToSingle(a3));
            if (!T.HasMinimum) continue;
            AddMinimums(ref ya0, ref ya1, ref ya2, ref ya3, L.Load(a.Offsets + s * TileRows), x.Sums + s, stride);
        }
        Store(ya0, ya1, ya2, ya3, y, yStride);
    }
}
