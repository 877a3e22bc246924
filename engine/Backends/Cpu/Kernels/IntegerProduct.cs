using Tare.Backends.Cpu.Weights;
using Tare.Backends.Cpu.Weights.Grouped;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Rows of integer activations times a range of weight tiles; sums start from the bias.</summary>
internal static unsafe class IntegerProduct
{
    private const int TileRows = PackedMatrix.TileRows;
    private const int BlockBytes = 192 << 10; // of activations that are read again for each tile: they stay in the second cache, beside a tile of weights

    /// <summary>Bytes of scratch for products with a matrix.</summary>
    public static long ScratchBytes(PackedMatrix weight, int rows) => ((long)weight.IntegerScratchFloats + 2 * TileRows + (long)Math.Min(rows, RowsOfBlock(weight.Width, false)) * TileRows) * sizeof(float);

    /// <summary>y[r][o] = bias[o] + Σ_k w[o, k] x[r][k] for the outputs of tiles [firstTile, endTile): y rows of floats <paramref name="yStride"/> apart, bias [weight.Rows] or null.</summary>
    public static void Run(PackedMatrix weight, int firstTile, int endTile, in IntegerRows x, int rows, float* y, long yStride, float* bias, float* scratch)
    {
        int block = RowsOfBlock(weight.Width, x.Wide), end = Math.Min(endTile, weight.Rows / TileRows);
        float* start = scratch, partial = start + 2 * TileRows, scales = partial + (long)Math.Min(rows, block) * TileRows;
        for (int row = 0; row < rows; row += block)
        {
            int count = Math.Min(block, rows - row);
            var part = new IntegerRows(x.First + (long)row * x.Stride, x.Stride, x.Width, x.Wide);
            float* target = y + row * yStride;
            for (int tile = firstTile; tile < end;)
            {
                int tiles = Math.Min(2, end - tile), first = tile * TileRows;
                Start(start, bias, first, tiles * TileRows, tiles * TileRows);
                weight.MultiplyIntegers(tile, tiles, part, count, start, target + first, yStride, scales);
                tile += tiles;
            }
            // A last tile with fewer outputs goes through scratch, so that nothing behind a row is written.
            if (end == endTile) continue;
            int last = end * TileRows, outputs = weight.Rows - last;
            Start(start, bias, last, outputs, TileRows);
            weight.MultiplyIntegers(end, 1, part, count, start, partial, TileRows, scales);
            for (int r = 0; r < count; r++) new ReadOnlySpan<float>(partial + (long)r * TileRows, outputs).CopyTo(new Span<float>(target + r * yStride + last, outputs));
        }
    }

    // A multiple of four rows.
    private static int RowsOfBlock(int width, bool wide) => Math.Max(16, BlockBytes / QuantizedRow.Stride(width, wide) & ~3);

    private static void Start(float* start, float* bias, int first, int outputs, int count)
    {
        for (int o = 0; o < count; o++) start[o] = bias is null || o >= outputs ? 0 : bias[first + o];
    }
}
