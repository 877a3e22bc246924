using Tare.Formats.Quantization;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights.Grouped;

// From stored rows to tiles: blocks of a row are unpacked one after the other, then the codes of sixteen rows are transposed. Rows that fill a tile up stay zero.
internal sealed unsafe partial class GroupedTiles<T>
{
    // 32-bit words of codes a row and step.
    private static int Words => TileLayout<T>.CodeBytes / TileRows / 4;

    private int RowWords => Width / Step * Words;

    // scratch: codes [16, RowWords], and room for the last block to be unpacked by whole vectors.
    private void Pack(Weight weight, BlockFormat format, int matrix, int tile, uint[] scratch)
    {
        byte* target = Tile(matrix, tile);
        int steps = Width / Step, rows = Math.Min(TileRows, Rows - tile * TileRows);
        if (rows < TileRows) new Span<byte>(target, checked((int)_tileBytes)).Clear();
        fixed (uint* codes = scratch)
        {
            for (int r = 0; r < rows; r++)
            {
                if (!weight.TryGetStoredRow((long)matrix * Rows + tile * TileRows + r, out var row) || row.Length != Width / format.ValuesPerBlock * format.BytesPerBlock)
                    throw new InvalidOperationException($"{weight}: a row of {row.Length} bytes");
                Unpack(row, format, target, r, codes + (long)r * RowWords);
            }
            scratch.AsSpan(rows * RowWords).Clear();
            for (int step = 0; step < steps; step += BlockSteps)
                Transposition.Run(codes + (long)step * Words, RowWords, (uint*)(target + TileLayout<T>.BlockAt(step / BlockSteps)), Math.Min(BlockSteps, steps - step) * Words);
        }
    }

    // The codes of a stored row one after the other, its scales and minimums to their places.
    private void Unpack(ReadOnlySpan<byte> row, BlockFormat format, byte* target, int lane, uint* codes)
    {
        ushort* numbers = stackalloc ushort[34]; // scales [16], minimums [16], factors [2]
        var raw = new RawScales(numbers, numbers + 16, numbers + 32);
        int steps = Width / Step, count = format.ValuesPerBlock / Step;
        fixed (byte* stored = row)
            for (int step = 0; step < steps; step += count)
            {
                T.Unpack(stored + (long)(step / count) * format.BytesPerBlock, (byte*)(codes + (long)step * Words), raw);
                PlaceNumbers(new TileBlock<T>(target + TileLayout<T>.BlockAt(step / BlockSteps), Math.Min(BlockSteps, steps - step / BlockSteps * BlockSteps), lane), step % BlockSteps, count, raw);
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
