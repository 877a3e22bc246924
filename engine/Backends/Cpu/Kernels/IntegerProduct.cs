using Tare.Backends.Cpu.Weights;
using Tare.Backends.Cpu.Weights.Grouped;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Rows of integer activations times a range of weight tiles; sums start from the bias.</summary>
internal static unsafe class IntegerProduct
{
    private const int TileRows = PackedMatrix.TileRows, Step = 32;
    private const int BlockBytes = 192 << 10;  // of activations that are read again for each tile: they stay in the second cache, beside a tile of weights
    private const int MostRows = 128;          // of a block
    private const int StepsAtATime = 64;       // of many rows: longer rows would leave room for few of them beside each other

    /// <summary>Bytes of scratch for products with a matrix.</summary>
    public static long ScratchBytes(PackedMatrix weight, int rows) => ((long)weight.IntegerScratchFloats(Math.Min(rows, MostRows)) + 2 * TileRows + (long)rows * TileRows) * sizeof(float);

    /// <summary>y[r][o] = bias[o] + Σ_k w[o, k] x[r][k] for the outputs of tiles [firstTile, endTile): y rows of floats <paramref name="yStride"/> apart, bias [weight.Rows] or null.</summary>
    public static void Run(PackedMatrix weight, int firstTile, int endTile, in IntegerRows x, int rows, float* y, long yStride, float* bias, float* scratch)
    {
        int all = weight.Width / Step, most = rows < 4 ? all : StepsAtATime, block = RowsOfBlock(Math.Min(most, all) * Step, x.Wide), end = Math.Min(endTile, weight.Rows / TileRows);
        float* start = scratch, partial = start + 2 * TileRows, panels = partial + (long)rows * TileRows;
        for (int step = 0; step < all; step += most)
            for (int row = 0; row < rows; row += block)
            {
                int count = Math.Min(block, rows - row), steps = Math.Min(most, all - step);
                var part = x.From(row, step);
                float* target = y + row * yStride, rest = partial + (long)row * TileRows;
                for (int tile = firstTile; tile < end;)
                {
                    int tiles = Math.Min(2, end - tile), first = tile * TileRows;
                    if (step == 0) Start(start, bias, first, tiles * TileRows, tiles * TileRows);
                    weight.MultiplyIntegers(tile, tiles, steps, part, count, step == 0 ? start : target + first, step == 0 ? 0 : yStride, target + first, yStride, panels);
                    tile += tiles;
                }
                if (end == endTile) continue;
                // A last tile with fewer outputs goes through scratch, so that nothing behind a row is written.
                int last = end * TileRows, outputs = weight.Rows - last;
                if (step == 0) Start(start, bias, last, outputs, TileRows);
                weight.MultiplyIntegers(end, 1, steps, part, count, step == 0 ? start : rest, step == 0 ? 0 : TileRows, rest, TileRows, panels);
                if (step + steps < all) continue;
                for (int r = 0; r < count; r++) new ReadOnlySpan<float>(rest + (long)r * TileRows, outputs).CopyTo(new Span<float>(target + r * yStride + last, outputs));
            }
    }

    // A multiple of four rows.
    private static int RowsOfBlock(int width, bool wide) => Math.Clamp(BlockBytes / QuantizedRow.Stride(width, wide) & ~3, 16, MostRows);

    private static void Start(float* start, float* bias, int first, int outputs, int count)
    {
        for (int o = 0; o < count; o++) start[o] = bias is null || o >= outputs ? 0 : bias[first + o];
    }
}
