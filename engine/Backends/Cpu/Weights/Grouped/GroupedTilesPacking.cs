using Tare.Formats.Quantization;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights.Grouped;

// From stored rows to tiles, a block of up to 256 values of k after the other: the codes of sixteen rows are unpacked beside each other and transposed. Rows that fill a tile up stay zero.
internal sealed unsafe partial class GroupedTiles<T>
{
    // 32-bit words of codes a row and step, and a row and block.
    private static int Words => TileLayout<T>.CodeBytes / TileRows / 4;

    private static int BlockWords => BlockSteps * Words;

    private void Pack(Weight weight, BlockFormat format, int matrix, int tile, ref byte[]? gathered)
    {
        byte* target = Tile(matrix, tile);
        uint* codes = stackalloc uint[TileRows * BlockWords]; // [16, BlockWords]
        int steps = Width / Step, rows = Math.Min(TileRows, Rows - tile * TileRows), storedSteps = format.ValuesPerBlock / Step, rowBytes = Width / format.ValuesPerBlock * format.BytesPerBlock;
        if (rows < TileRows)
        {
            new Span<byte>(target, checked((int)_tileBytes)).Clear();
            new Span<uint>(codes, TileRows * BlockWords).Clear();
        }
        fixed (byte* all = StoredTile.Rows(weight, (long)matrix * Rows + tile * TileRows, rows, rowBytes, ref gathered))
        {
            byte* stored = all;
            for (int step = 0; step < steps; step += BlockSteps, target += TileLayout<T>.BlockBytes(BlockSteps), stored += BlockSteps / storedSteps * format.BytesPerBlock)
            {
                int count = Math.Min(BlockSteps, steps - step);
                for (int r = 0; r < rows; r++) Unpack(stored + (long)r * rowBytes, format.BytesPerBlock, storedSteps, new TileBlock<T>(target, count, r), count, codes + r * BlockWords);
                Transposition.Run(codes, BlockWords, (uint*)target, count * Words);
            }
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

    private static void Write(byte* number, ushort value)
    {
        if (TileLayout<T>.NumberBytes == 2) *(ushort*)number = value;
        else *number = (byte)value;
    }
}
