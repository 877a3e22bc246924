using System.Runtime.CompilerServices;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Weights.Grouped;

// F32 activations: codes are widened in registers and rounded as the file's decoder rounds, value = code · scale (+ minimum).
internal sealed unsafe partial class LaneKernels<T, L, TCodes, TNarrow, TSums, TFloats>
{
    public override void Multiply(byte* a, byte* b, int steps, float* x, float* ya, float* yb)
    {
        for (int lane = 0; lane < TileRows; lane += L.Count) Pair(a, b, lane, steps, x, ya + lane, yb + lane);
    }

    [MethodImpl(AtFirstCall.Compiled)]
    public override void Values(byte* blocks, int stored, int steps, float* values)
    {
        for (int done = 0; done < steps; done += BlockSteps, blocks += TileLayout<T>.BlockBytes(BlockSteps), values += BlockSteps * Step * TileRows)
            for (int lane = 0; lane < TileRows; lane += L.Count)
                Values(new TileBlock<T>(blocks, Math.Min(BlockSteps, stored - done), lane), Math.Min(BlockSteps, steps - done), values + lane);
    }

    [MethodImpl(AtFirstCall.Compiled)]
    private static void Values(in TileBlock<T> block, int steps, float* values)
    {
        var tables = new Tables();
        byte* step = block.Codes;
        for (int i = 0; i < steps; i++, step += TileLayout<T>.CodeBytes)
        {
            var minimum = T.HasMinimum ? Minimum(block, i) : default;
            for (int part = 0; part < 2; part++)
            {
                var scale = Scale(block, i, part * (TileLayout<T>.Groups - 1));
                for (int j = 4 * part; j < 4 * part + 4; j++, values += 4 * TileRows)
                {
                    var codes = tables.Codes(step, j);
                    L.Store(tables.Value(codes, 0, scale, minimum), values);
                    L.Store(tables.Value(codes, 1, scale, minimum), values + TileRows);
                    L.Store(tables.Value(codes, 2, scale, minimum), values + 2 * TileRows);
                    L.Store(tables.Value(codes, 3, scale, minimum), values + 3 * TileRows);
                }
            }
        }
    }

    // Two tiles, so that the chain of one hides behind the other.
    [MethodImpl(AtFirstCall.Compiled)]
    private static void Pair(byte* a, byte* b, int lane, int steps, float* x, float* ya, float* yb)
    {
        var tables = new Tables(); // before the sums are loaded: the call would spill them
        TFloats sumA = L.Load(ya), sumB = L.Load(yb);
        for (int done = 0; done < steps; done += BlockSteps)
        {
            int count = Math.Min(BlockSteps, steps - done);
            TileBlock<T> blockA = new(a, count, lane), blockB = new(b, count, lane);
            byte* stepA = blockA.Codes, stepB = blockB.Codes;
            for (int i = 0; i < count; i++, stepA += TileLayout<T>.CodeBytes, stepB += TileLayout<T>.CodeBytes)
            {
                TFloats minimumA = T.HasMinimum ? Minimum(blockA, i) : default, minimumB = T.HasMinimum ? Minimum(blockB, i) : default;
                for (int part = 0; part < 2; part++)
                {
                    TFloats scaleA = Scale(blockA, i, part * (TileLayout<T>.Groups - 1)), scaleB = Scale(blockB, i, part * (TileLayout<T>.Groups - 1));
                    for (int j = 4 * part; j < 4 * part + 4; j++, x += 4)
                    {
                        TCodes codesA = tables.Codes(stepA, j), codesB = tables.Codes(stepB, j);
                        sumA = L.MultiplyAdd(tables.Value(codesA, 0, scaleA, minimumA), x, sumA);
                        sumB = L.MultiplyAdd(tables.Value(codesB, 0, scaleB, minimumB), x, sumB);
                        sumA = L.MultiplyAdd(tables.Value(codesA, 1, scaleA, minimumA), x + 1, sumA);
                        sumB = L.MultiplyAdd(tables.Value(codesB, 1, scaleB, minimumB), x + 1, sumB);
                        sumA = L.MultiplyAdd(tables.Value(codesA, 2, scaleA, minimumA), x + 2, sumA);
                        sumB = L.MultiplyAdd(tables.Value(codesB, 2, scaleB, minimumB), x + 2, sumB);
                        sumA = L.MultiplyAdd(tables.Value(codesA, 3, scaleA, minimumA), x + 3, sumA);
                        sumB = L.MultiplyAdd(tables.Value(codesB, 3, scaleB, minimumB), x + 3, sumB);
                    }
                }
            }
            a += TileLayout<T>.BlockBytes(count);
            b += TileLayout<T>.BlockBytes(count);
        }
        L.Store(sumA, ya);
        L.Store(sumB, yb);
    }

    // A table of floats where a vector holds its 16 entries, else one of bytes.
    private readonly ref struct Tables
    {
        private readonly TFloats _floats;
        private readonly TCodes _bytes;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Tables()
        {
            if (!T.IsNibble) return;
            if (L.HoldsTable)
                fixed (float* entries = T.Table) _floats = L.Load(entries);
            else _bytes = Table();
        }

        // Four values of a step, as Value wants them.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TCodes Codes(byte* step, int j)
        {
            if (!T.IsNibble || !L.HoldsTable) return LaneKernels<T, L, TCodes, TNarrow, TSums, TFloats>.Codes(step, j, _bytes);
            var both = L.Load(step + (j & 3) * 64);
            return j < 4 ? both : L.High(both);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TFloats Value(TCodes codes, int index, TFloats scale, TFloats minimum)
        {
            var value = L.Multiply(T.IsNibble && L.HoldsTable ? L.EntryOf(_floats, codes, index) : L.ByteOf(codes, index), scale);
            return T.HasMinimum ? L.Add(value, minimum) : value;
        }
    }
}
