using Tare.Backends.Cpu.Weights;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Rows of integer activations times a range of weight tiles; sums start from the bias.</summary>
internal static unsafe class IntegerProduct
{
    private const int TileRows = PackedMatrix.TileRows;

    /// <summary>Bytes of scratch for products of up to <paramref name="rows"/> rows.</summary>
    public static long ScratchBytes(int rows) => (long)rows * TileRows * sizeof(float) + 3L * rows * sizeof(float*);

    /// <summary>y[r][o] = bias[o] + Σ_k w[o, k] x[r][k] for the outputs of tiles [firstTile, endTile): x and y [rows] pointers, <paramref name="targets"/> [rows] scratch pointers with [rows, 16] floats behind them.</summary>
    public static void Run(PackedMatrix weight, int firstTile, int endTile, float** x, float** y, int rows, float* bias, bool wide, float** targets)
    {
        float* partial = (float*)(targets + rows);
        for (int tile = firstTile; tile < endTile; tile++)
        {
            int first = tile * TileRows, outputs = Math.Min(TileRows, weight.Rows - first);
            bool full = outputs == TileRows;
            for (int r = 0; r < rows; r++)
            {
                targets[r] = full ? y[r] + first : partial + (long)r * TileRows;
                for (int o = 0; o < outputs; o++) targets[r][o] = bias is null ? 0 : bias[first + o];
                for (int o = outputs; o < TileRows; o++) targets[r][o] = 0;
            }
            weight.MultiplyIntegers(tile, x, targets, rows, wide);
            if (!full)
                for (int r = 0; r < rows; r++) new ReadOnlySpan<float>(targets[r], outputs).CopyTo(new Span<float>(y[r] + first, outputs));
        }
    }
}
