using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tare.Formats.Quantization;

namespace Tare.Backends.Cpu.Weights.Grouped;

// From stored rows to tiles, a block of up to 256 values of k after the other: the codes of sixteen rows are unpacked beside each other and transposed. Rows that fill a tile up stay zero.
internal sealed unsafe partial class GroupedTiles<T>
{
    // 32-bit words of codes a row and step, and a row and block.
    private static int Words => TileLayout<T>.CodeBytes / TileRows / 4;

    private static int BlockWords => BlockSteps * Words;

    // Of a tile: stored rows [rows, bytes of a row]. The target is written in whole lines past the caches.
    private void Pack(byte* stored, BlockFormat format, byte* target, int rows)
    {
        int steps = Width / Step, storedSteps = format.ValuesPerBlock / Step, rowBytes = Width / format.ValuesPerBlock * format.BytesPerBlock;
        uint* codes = stackalloc uint[TileRows * BlockWords]; // [16, BlockWords]
        byte* block = stackalloc byte[TileLayout<T>.BlockBytes(BlockSteps)];
        new Span<uint>(codes, TileRows * BlockWords).Clear();
        new Span<byte>(block, TileLayout<T>.BlockBytes(BlockSteps)).Clear();
        for (int step = 0; step < steps; step += BlockSteps, target += TileLayout<T>.BlockBytes(BlockSteps), stored += BlockSteps / storedSteps * format.BytesPerBlock)
        {
            int count = Math.Min(BlockSteps, steps - step), codeBytes = count * TileLayout<T>.CodeBytes;
            for (int r = 0; r < rows; r++) Unpack(stored + (long)r * rowBytes, format.BytesPerBlock, storedSteps, new TileBlock<T>(block, count, r), count, codes + r * BlockWords);
            Transposition.Run(codes, BlockWords, (uint*)target, count * Words);
            for (int i = codeBytes; i < TileLayout<T>.BlockBytes(count); i += 64) Vector512.Load(block + i).StoreAlignedNonTemporal(target + i);
        }
    }

    // The codes of a block of a stored row one after the other, its scales and minimums to their places.
    private static void Unpack(byte* stored, int storedBytes, int storedSteps, in TileBlock<T> block, int steps, uint* codes)
    {
        ushort* numbers = stackalloc ushort[34]; // scales [16], minimums [16], factors [2]
        var raw = new RawScales(numbers, numbers + 16, numbers + 32);
        for (int step = 0; step < steps; step += storedSteps, stored += storedBytes)
        {
            T.Unpack(stored, (byte*)(codes + step * Words), raw);
            PlaceNumbers(block, step, storedSteps, raw);
        }
    }

    // Scales, minimums and factors of steps of one row, from the first on.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PlaceNumbers(in TileBlock<T> block, int first, int count, in RawScales raw)
    {
        for (int i = 0; i < count; i++)
            for (int g = 0; g < TileLayout<T>.Groups; g++)
            {
                Write(block.ScalesOf(first + i, g), raw.Scales[i * TileLayout<T>.Groups + g]);
                if (T.HasMinimum) Write(block.MinimumsOf(first + i), raw.Minimums[i]);
            }
        if (!TileLayout<T>.HasFactors) return;
        for (int i = 0; i < (T.HasMinimum ? 2 : 1); i++) *block.Factor(i) = raw.Factors[i];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write(byte* number, ushort value)
    {
        if (TileLayout<T>.NumberBytes == 2) *(ushort*)number = value;
        else *number = (byte)value;
    }
}
