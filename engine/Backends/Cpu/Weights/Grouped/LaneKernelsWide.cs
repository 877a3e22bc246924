using System.Runtime.CompilerServices;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Weights.Grouped;

// Codes times I16.
internal sealed unsafe partial class LaneKernels<T, L, TCodes, TNarrow, TSums, TFloats>
{
    [MethodImpl(AtFirstCall.Compiled)]
    private static void FourWideByTwo(TilePanel a, TilePanel b, in FourRows x, int steps, float* from, long fromStride, float* y, long yStride)
    {
        short* c0 = x.WideCodes, c1 = c0 + x.Stride / 2, c2 = c1 + x.Stride / 2, c3 = c2 + x.Stride / 2;
        int stride = x.Stride / sizeof(float);
        float* scales = x.Scales;
        byte* aCodes = a.Codes;
        byte* bCodes = b.Codes;
        TFloats ya0 = L.Load(from), ya1 = L.Load(from + fromStride), ya2 = L.Load(from + 2 * fromStride), ya3 = L.Load(from + 3 * fromStride);
        TFloats yb0 = L.Load(from + TileRows), yb1 = L.Load(from + fromStride + TileRows), yb2 = L.Load(from + 2 * fromStride + TileRows), yb3 = L.Load(from + 3 * fromStride + TileRows);
        for (int s = 0; s < steps; s++)
        {
            for (int g = 0; g < 2; g++)
            {
                TSums a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
                for (int j = 0; j < 4; j++, aCodes += 64, bCodes += 64, c0 += 4, c1 += 4, c2 += 4, c3 += 4)
                {
                    TCodes codesA = L.Load(aCodes), codesB = L.Load(bCodes), evenA = L.Even(codesA), evenB = L.Even(codesB), oddA = L.Odd(codesA), oddB = L.Odd(codesB);
                    a0 = L.MultiplyShorts(a0, evenA, c0);
                    b0 = L.MultiplyShorts(b0, evenB, c0);
                    a1 = L.MultiplyShorts(a1, evenA, c1);
                    b1 = L.MultiplyShorts(b1, evenB, c1);
                    a2 = L.MultiplyShorts(a2, evenA, c2);
                    b2 = L.MultiplyShorts(b2, evenB, c2);
                    a3 = L.MultiplyShorts(a3, evenA, c3);
                    b3 = L.MultiplyShorts(b3, evenB, c3);
                    a0 = L.MultiplyShorts(a0, oddA, c0 + 2);
                    b0 = L.MultiplyShorts(b0, oddB, c0 + 2);
                    a1 = L.MultiplyShorts(a1, oddA, c1 + 2);
                    b1 = L.MultiplyShorts(b1, oddB, c1 + 2);
                    a2 = L.MultiplyShorts(a2, oddA, c2 + 2);
                    b2 = L.MultiplyShorts(b2, oddB, c2 + 2);
                    a3 = L.MultiplyShorts(a3, oddA, c3 + 2);
                    b3 = L.MultiplyShorts(b3, oddB, c3 + 2);
                }
                AddProducts(ref ya0, ref ya1, ref ya2, ref ya3, L.Load(a.Scales + (s * TileLayout<T>.Groups + (TileLayout<T>.Groups == 2 ? g : 0)) * TileRows), scales + s, stride, L.ToSingle(a0), L.ToSingle(a1), L.ToSingle(a2), L.ToSingle(a3));
                AddProducts(ref yb0, ref yb1, ref yb2, ref yb3, L.Load(b.Scales + (s * TileLayout<T>.Groups + (TileLayout<T>.Groups == 2 ? g : 0)) * TileRows), scales + s, stride, L.ToSingle(b0), L.ToSingle(b1), L.ToSingle(b2), L.ToSingle(b3));
            }
            if (!T.IsNibble && (s & (BlockSteps - 1)) == BlockSteps - 1)
            {
                aCodes += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
                bCodes += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
            }
            if (!T.HasMinimum) continue;
            AddMinimums(ref ya0, ref ya1, ref ya2, ref ya3, L.Load(a.Offsets + s * TileRows), x.Sums + s, stride);
            AddMinimums(ref yb0, ref yb1, ref yb2, ref yb3, L.Load(b.Offsets + s * TileRows), x.Sums + s, stride);
        }
        Store(ya0, ya1, ya2, ya3, y, yStride);
        Store(yb0, yb1, yb2, yb3, y + TileRows, yStride);
    }

    [MethodImpl(AtFirstCall.Compiled)]
    private static void FourWideByOne(TilePanel a, in FourRows x, int steps, float* from, long fromStride, float* y, long yStride)
    {
        short* c0 = x.WideCodes, c1 = c0 + x.Stride / 2, c2 = c1 + x.Stride / 2, c3 = c2 + x.Stride / 2;
        int stride = x.Stride / sizeof(float);
        float* scales = x.Scales;
        byte* aCodes = a.Codes;
        TFloats ya0 = L.Load(from), ya1 = L.Load(from + fromStride), ya2 = L.Load(from + 2 * fromStride), ya3 = L.Load(from + 3 * fromStride);
        for (int s = 0; s < steps; s++)
        {
            for (int g = 0; g < 2; g++)
            {
                TSums a0 = default, a1 = default, a2 = default, a3 = default;
                for (int j = 0; j < 4; j++, aCodes += 64, c0 += 4, c1 += 4, c2 += 4, c3 += 4)
                {
                    TCodes codesA = L.Load(aCodes), evenA = L.Even(codesA), oddA = L.Odd(codesA);
                    a0 = L.MultiplyShorts(a0, evenA, c0);
                    a1 = L.MultiplyShorts(a1, evenA, c1);
                    a2 = L.MultiplyShorts(a2, evenA, c2);
                    a3 = L.MultiplyShorts(a3, evenA, c3);
                    a0 = L.MultiplyShorts(a0, oddA, c0 + 2);
                    a1 = L.MultiplyShorts(a1, oddA, c1 + 2);
                    a2 = L.MultiplyShorts(a2, oddA, c2 + 2);
                    a3 = L.MultiplyShorts(a3, oddA, c3 + 2);
                }
                AddProducts(ref ya0, ref ya1, ref ya2, ref ya3, L.Load(a.Scales + (s * TileLayout<T>.Groups + (TileLayout<T>.Groups == 2 ? g : 0)) * TileRows), scales + s, stride, L.ToSingle(a0), L.ToSingle(a1), L.ToSingle(a2), L.ToSingle(a3));
            }
            if (!T.IsNibble && (s & (BlockSteps - 1)) == BlockSteps - 1) aCodes += TileLayout<T>.BlockBytes(BlockSteps) - BlockSteps * TileLayout<T>.CodeBytes;
            if (!T.HasMinimum) continue;
            AddMinimums(ref ya0, ref ya1, ref ya2, ref ya3, L.Load(a.Offsets + s * TileRows), x.Sums + s, stride);
        }
        Store(ya0, ya1, ya2, ya3, y, yStride);
    }
}
