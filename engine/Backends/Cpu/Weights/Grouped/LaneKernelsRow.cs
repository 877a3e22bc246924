using System.Runtime.CompilerServices;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Weights.Grouped;

// One row: the weights are read as they lie.
internal sealed unsafe partial class LaneKernels<T, L, TCodes, TNarrow, TSums, TFloats>
{
    [MethodImpl(AtFirstCall.Compiled)]
    private static void One(byte* tile, int lane, in IntegerRows x, int index, int steps, float* from, float* y)
    {
        var row = x.Row(index);
        var sum = L.Load(from);
        for (int done = 0; done < steps; done += BlockSteps)
        {
            int count = Math.Min(BlockSteps, steps - done);
            var block = new TileBlock<T>(tile, count, lane);
            byte* codes = block.Codes;
            for (int i = 0; i < count; i++, codes += TileLayout<T>.CodeBytes)
            {
                int step = x.FirstStep + done + i;
                sbyte* c = row.Codes + step * Step;
                TFloats products;
                if (HasIntegerScales)
                {
                    TNarrow first = Bytes(codes, c, L.Start(row.HalfStarts + 2 * step, StartShift)), second = Bytes(codes + 256, c + 16, L.Start(row.HalfStarts + 2 * step + 1, StartShift));
                    products = L.ToSingle(L.Add(L.Scale(first, L.LoadScales((sbyte*)block.ScalesOf(i, 0))), L.Scale(second, L.LoadScales((sbyte*)block.ScalesOf(i, 1)))));
                }
                else
                {
                    var start = T.Center > 0 ? L.Start(row.Starts + step, StartShift) : default;
                    products = L.ToSingle(T.IsNibble ? Nibbles(codes, c, start) : L.Add(Bytes(codes, c, start), Bytes(codes + 256, c + 16, default)));
                }
                Prefetch(block.ScalesOf(i, 0));
                sum = L.MultiplyAdd(L.Multiply(ByteScale(block, i), row.Scales + step), products, sum);
                if (T.HasMinimum) sum = L.MultiplyAdd(ByteMinimum(block, i), row.Sums + step, sum);
            }
            tile += TileLayout<T>.BlockBytes(count);
        }
        L.Store(sum, y);
    }

    // 32 values of k.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TNarrow Nibbles(byte* codes, sbyte* c, TNarrow low)
    {
        TNarrow high = default;
        for (int j = 0; j < 4; j++, codes += 64, c += 4)
        {
            Prefetch(codes);
            var both = L.Load(codes);
            low = L.MultiplyBytes(low, L.Low(both), c);
            high = L.MultiplyBytes(high, L.High(both), c + 16);
        }
        return L.Add(low, high);
    }

    // 16 values of k.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TNarrow Bytes(byte* codes, sbyte* c, TNarrow sum)
    {
        for (int j = 0; j < 4; j++, codes += 64, c += 4)
        {
            Prefetch(codes);
            sum = L.MultiplyBytes(sum, T.Bias > 0 ? L.AddBytes(L.Load(codes), T.Bias) : L.Load(codes), c);
        }
        return sum;
    }

    [MethodImpl(AtFirstCall.Compiled)]
    private static void OneWide(byte* tile, int lane, in IntegerRows x, int index, int steps, float* from, float* y)
    {
        var table = Table();
        var row = x.Row(index);
        short* c = row.WideCodes + x.FirstStep * Step;
        float* scales = row.Scales + x.FirstStep;
        var sum = L.Load(from);
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
                if (T.HasMinimum) sum = L.MultiplyAdd(Minimum(block, i), scales + x.Width / Step, sum);
            }
            tile += TileLayout<T>.BlockBytes(count);
        }
        L.Store(sum, y);
    }
}
