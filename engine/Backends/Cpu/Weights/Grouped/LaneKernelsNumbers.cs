using System.Runtime.CompilerServices;
using Tare.Backends.Cpu.Numerics;

namespace Tare.Backends.Cpu.Weights.Grouped;

// Numbers of tiles as the products want them.
internal sealed unsafe partial class LaneKernels<T, L, TCodes, TNarrow, TSums, TFloats>
{
    // Scales of 16 values as integers, with a factor: they multiply the sums before these are floats.
    private static bool HasIntegerScales
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TileLayout<T>.Groups == 2;
    }

    // Shift from −8 times the sum of codes to −center times it.
    private static int StartShift
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => T.Center == 32 ? 2 : T.Center == 16 ? 1 : 0;
    }

    // A panel of the tile whose blocks begin at the address.
    [MethodImpl(AtFirstCall.Compiled)]
    private static TilePanel Expand(byte* block, int steps, bool wide, float* scratch)
    {
        bool copied = wide ? T.IsNibble : T.Bias > 0;
        float* scales = scratch, offsets = scales + TilePanel.Steps * TileRows;
        int* integers = (int*)(offsets + TilePanel.Steps * TileRows);
        byte* codes = (byte*)(integers + TilePanel.Steps * TileRows);
        var table = Table();
        for (int done = 0; done < steps; done += BlockSteps)
        {
            int count = Math.Min(BlockSteps, steps - done);
            for (int lane = 0; lane < TileRows; lane += L.Count)
            {
                var part = new TileBlock<T>(block + TileLayout<T>.BlockAt(done / BlockSteps), count, lane);
                for (int i = 0; i < count; i++)
                {
                    int step = done + i;
                    if (wide)
                        for (int g = 0; g < TileLayout<T>.Groups; g++) L.Store(Scale(part, i, g), scales + (step * TileLayout<T>.Groups + g) * TileRows + lane);
                    else L.Store(ByteScale(part, i), scales + step * TileRows + lane);
                    if (!wide && HasIntegerScales)
                        for (int g = 0; g < 2; g++) L.Store(L.LoadScales((sbyte*)part.ScalesOf(i, g)), integers + (2 * step + g) * TileRows + lane);
                    if (T.HasMinimum) L.Store(wide ? Minimum(part, i) : ByteMinimum(part, i), offsets + step * TileRows + lane);
                    if (copied)
                        for (int j = 0; j < 8; j++) L.Store(wide ? Codes(part.Codes + i * TileLayout<T>.CodeBytes, j, table) : L.AddBytes(L.Load(part.Codes + i * TileLayout<T>.CodeBytes + j * 64), T.Bias), codes + (step * 8 + j) * 64 + 4 * lane);
                }
            }
        }
        return new TilePanel(copied ? codes : block, scales, offsets, integers);
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

    // What the sums of products with bytes are multiplied by.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats ByteScale(in TileBlock<T> block, int step) => HasIntegerScales ? L.LoadHalfs(block.Factor(0)) : Scale(block, step, 0);

    // The minimum, and what the center took away where it is no part of the value.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats ByteMinimum(in TileBlock<T> block, int step)
        => T.Center > 0 ? L.MultiplyAdd(Scale(block, step, 0), L.All(T.Center), Minimum(block, step)) : Minimum(block, step);

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
}
