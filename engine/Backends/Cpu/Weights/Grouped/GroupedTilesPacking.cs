using Tare.Formats.Quantization;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights.Grouped;

// From stored rows to tiles: blocks are unpacked one after the other and dealt out to the 16 lanes. Rows that fill a tile up stay zero.
internal sealed unsafe partial class GroupedTiles<T>
{
    private void Pack(Weight weight, BlockFormat format, int matrix, int tile)
    {
        byte* target = Tile(matrix, tile);
        int steps = Width / Step;
        new Span<byte>(target, checked((int)_tileBytes)).Clear();
        byte* codes = stackalloc byte[256];
        ushort* numbers = stackalloc ushort[34]; // scales [16], minimums [16], factors [2]
        var raw = new RawScales(numbers, numbers + 16, numbers + 32);
        for (int r = 0; r < TileRows; r++)
        {
            int index = tile * TileRows + r;
            if (index >= Rows || !weight.TryGetStoredRow((long)matrix * Rows + index, out var row)) continue;
            if (row.Length != Width / format.ValuesPerBlock * format.BytesPerBlock) throw new InvalidOperationException($"{weight}: a row of {row.Length} bytes");
            fixed (byte* stored = row)
                for (int block = 0, step = 0; step < steps; block++, step += format.ValuesPerBlock / Step)
                {
                    T.Unpack(stored + (long)block * format.BytesPerBlock, codes, raw);
                    int count = Math.Min(BlockSteps, steps - step / BlockSteps * BlockSteps);
                    Place(new TileBlock<T>(target + TileLayout<T>.BlockAt(step / BlockSteps), count, r), step % BlockSteps, format.ValuesPerBlock / Step, codes, raw);
                }
        }
    }

    // Steps of one row, from the first on.
    private static void Place(in TileBlock<T> block, int first, int count, byte* codes, in RawScales raw)
    {
        int words = TileLayout<T>.CodeBytes / TileRows / 4; // 32-bit words of codes a row and step
        uint* target = (uint*)(block.Codes + first * TileLayout<T>.CodeBytes);
        for (int i = 0; i < count * words; i++) target[i * TileRows] = ((uint*)codes)[i];
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
