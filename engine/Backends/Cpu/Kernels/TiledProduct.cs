using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Backends.Cpu.Weights;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>
/// Rows of activations times a range of weight tiles. Lanes are outputs, k ascends with one fused multiply-add each, sums start from the bias: what a row gets does not depend on the other rows, on the tiles
/// that run beside it or on the machine's vector width.
/// </summary>
internal static unsafe class TiledProduct
{
    private const int TileRows = PackedMatrix.TileRows;
    private const int DirectRows = 2; // rows for which reading the packed form anew beats writing a panel

    /// <summary>Bytes of scratch for products of up to <paramref name="rows"/> rows.</summary>
    public static long ScratchBytes(PackedMatrix weight, int rows)
        => ((weight.NeedsScratch ? 2L * (weight.PanelWidth + TileRows) * TileRows : 0) + (long)rows * TileRows) * sizeof(float) + 2L * rows * sizeof(float*);

    /// <summary>y[r][o] = bias[o] + Σ_k w[o, k] x[r][k] for the outputs of tiles [firstTile, endTile) of one matrix.</summary>
    /// <param name="weight">The matrices.</param>
    /// <param name="matrix">Which one.</param>
    /// <param name="firstTile">First tile.</param>
    /// <param name="endTile">End of the tiles.</param>
    /// <param name="x">[rows] pointers to activations [width].</param>
    /// <param name="y">[rows] pointers to outputs [weight.Rows].</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="bias">[weight.Rows] or null.</param>
    /// <param name="scratch">Scratch; pointers behind it may hold x and y.</param>
    public static void Run(PackedMatrix weight, int matrix, int firstTile, int endTile, float** x, float** y, int rows, float* bias, float* scratch)
    {
        float* panels = scratch, partial = scratch + (weight.NeedsScratch ? 2 * (weight.PanelWidth + TileRows) * TileRows : 0);
        float** targets = stackalloc float*[8];
        bool direct = rows <= DirectRows && weight.DirectTiles > 0;
        int most = direct ? weight.DirectTiles : 2;
        for (int tile = firstTile; tile < endTile;)
        {
            // A last tile with fewer outputs goes through scratch, so that nothing behind a row is written.
            int whole = Math.Min(endTile, weight.Rows / TileRows) - tile, tiles = whole >= most ? most : Math.Clamp(whole, 1, 2), first = tile * TileRows, outputs = Math.Min(tiles * TileRows, weight.Rows - first);
            bool full = whole > 0;
            for (int r = 0; r < rows; r++)
            {
                float* target = full ? y[r] + first : partial + (long)r * TileRows;
                for (int o = 0; o < outputs; o++) target[o] = bias is null ? 0 : bias[first + o];
                for (int o = outputs; o < tiles * TileRows; o++) target[o] = 0;
            }
            if (direct)
                for (int r = 0; r < rows; r++) weight.Multiply(matrix, tile, tiles, x[r], full ? y[r] + first : partial + (long)r * TileRows);
            else
                for (int k = 0; k < weight.Width; k += weight.PanelWidth)
                {
                    int count = Math.Min(weight.PanelWidth, weight.Width - k);
                    float* a = weight.Panel(matrix, tile, k, count, panels), b = tiles == 2 ? weight.Panel(matrix, tile + 1, k, count, panels + (weight.PanelWidth + TileRows) * TileRows) : null;
                    for (int r = 0; r < rows;)
                    {
                        int group = rows - r >= 8 ? 8 : rows - r >= 4 ? 4 : 1;
                        for (int i = 0; i < group; i++) targets[i] = full ? y[r + i] + first : partial + (long)(r + i) * TileRows;
                        if (tiles == 2) Pair(a, b, x + r, k, count, targets, group);
                        else Single(a, x + r, k, count, targets, group);
                        r += group;
                    }
                }
            if (!full)
                for (int r = 0; r < rows; r++) new ReadOnlySpan<float>(partial + (long)r * TileRows, outputs).CopyTo(new Span<float>(y[r] + first, outputs));
            tile += tiles;
        }
    }

    private static void Pair(float* a, float* b, float** x, int k, int count, float** y, int rows)
    {
        if (rows == 8 && Vector512.IsHardwareAccelerated)
        {
            EightByTwo(a, b, x, k, count, y);
            return;
        }
        if (rows == 1)
        {
            OneByTwo(a, b, x[0] + k, count, y[0]);
            return;
        }
        float** upper = stackalloc float*[8];
        for (int i = 0; i < rows; i++) upper[i] = y[i] + TileRows;
        Single(a, x, k, count, y, rows);
        Single(b, x, k, count, upper, rows);
    }

    private static void Single(float* w, float** x, int k, int count, float** y, int rows)
    {
        if (rows == 1)
        {
            One(w, x[0] + k, count, y[0]);
            return;
        }
        for (int r = 0; r < rows; r += 4) FourByOne(w, x + r, k, count, y + r);
    }

    private static void One(float* w, float* x, int count, float* y)
    {
        var sum = Vector512.Load(y);
        for (int k = 0; k < count; k++) sum = Vector512.FusedMultiplyAdd(Vector512.Load(w + k * TileRows), Vector512.Create(x[k]), sum);
        sum.Store(y);
    }

    private static void OneByTwo(float* a, float* b, float* x, int count, float* y)
    {
        Vector512<float> sumA = Vector512.Load(y), sumB = Vector512.Load(y + TileRows);
        for (int k = 0; k < count; k++)
        {
            var v = Vector512.Create(x[k]);
            sumA = Vector512.FusedMultiplyAdd(Vector512.Load(a + k * TileRows), v, sumA);
            sumB = Vector512.FusedMultiplyAdd(Vector512.Load(b + k * TileRows), v, sumB);
        }
        sumA.Store(y);
        sumB.Store(y + TileRows);
    }

    private static void FourByOne(float* w, float** x, int first, int count, float** y)
    {
        float* x0 = x[0] + first, x1 = x[1] + first, x2 = x[2] + first, x3 = x[3] + first;
        Vector512<float> s0 = Vector512.Load(y[0]), s1 = Vector512.Load(y[1]), s2 = Vector512.Load(y[2]), s3 = Vector512.Load(y[3]);
        for (int k = 0; k < count; k++)
        {
            var v = Vector512.Load(w + k * TileRows);
            s0 = Vector512.FusedMultiplyAdd(v, Vector512.Create(x0[k]), s0);
            s1 = Vector512.FusedMultiplyAdd(v, Vector512.Create(x1[k]), s1);
            s2 = Vector512.FusedMultiplyAdd(v, Vector512.Create(x2[k]), s2);
            s3 = Vector512.FusedMultiplyAdd(v, Vector512.Create(x3[k]), s3);
        }
        s0.Store(y[0]);
        s1.Store(y[1]);
        s2.Store(y[2]);
        s3.Store(y[3]);
    }

    // 16 accumulators, 2 weights, 1 broadcast: 19 of the 32 registers of AVX-512.
    private static void EightByTwo(float* a, float* b, float** x, int first, int count, float** y)
    {
        float* x0 = x[0] + first, x1 = x[1] + first, x2 = x[2] + first, x3 = x[3] + first, x4 = x[4] + first, x5 = x[5] + first, x6 = x[6] + first, x7 = x[7] + first;
        Vector512<float> a0 = Vector512.Load(y[0]), a1 = Vector512.Load(y[1]), a2 = Vector512.Load(y[2]), a3 = Vector512.Load(y[3]);
        Vector512<float> a4 = Vector512.Load(y[4]), a5 = Vector512.Load(y[5]), a6 = Vector512.Load(y[6]), a7 = Vector512.Load(y[7]);
        Vector512<float> b0 = Vector512.Load(y[0] + TileRows), b1 = Vector512.Load(y[1] + TileRows), b2 = Vector512.Load(y[2] + TileRows), b3 = Vector512.Load(y[3] + TileRows);
        Vector512<float> b4 = Vector512.Load(y[4] + TileRows), b5 = Vector512.Load(y[5] + TileRows), b6 = Vector512.Load(y[6] + TileRows), b7 = Vector512.Load(y[7] + TileRows);
        for (int k = 0; k < count; k++)
        {
            Vector512<float> u = Vector512.Load(a + k * TileRows), v = Vector512.Load(b + k * TileRows);
            var c = Vector512.Create(x0[k]);
            a0 = Vector512.FusedMultiplyAdd(u, c, a0);
            b0 = Vector512.FusedMultiplyAdd(v, c, b0);
            c = Vector512.Create(x1[k]);
            a1 = Vector512.FusedMultiplyAdd(u, c, a1);
            b1 = Vector512.FusedMultiplyAdd(v, c, b1);
            c = Vector512.Create(x2[k]);
            a2 = Vector512.FusedMultiplyAdd(u, c, a2);
            b2 = Vector512.FusedMultiplyAdd(v, c, b2);
            c = Vector512.Create(x3[k]);
            a3 = Vector512.FusedMultiplyAdd(u, c, a3);
            b3 = Vector512.FusedMultiplyAdd(v, c, b3);
            c = Vector512.Create(x4[k]);
            a4 = Vector512.FusedMultiplyAdd(u, c, a4);
            b4 = Vector512.FusedMultiplyAdd(v, c, b4);
            c = Vector512.Create(x5[k]);
            a5 = Vector512.FusedMultiplyAdd(u, c, a5);
            b5 = Vector512.FusedMultiplyAdd(v, c, b5);
            c = Vector512.Create(x6[k]);
            a6 = Vector512.FusedMultiplyAdd(u, c, a6);
            b6 = Vector512.FusedMultiplyAdd(v, c, b6);
            c = Vector512.Create(x7[k]);
            a7 = Vector512.FusedMultiplyAdd(u, c, a7);
            b7 = Vector512.FusedMultiplyAdd(v, c, b7);
        }
        a0.Store(y[0]);
        a1.Store(y[1]);
        a2.Store(y[2]);
        a3.Store(y[3]);
        a4.Store(y[4]);
        a5.Store(y[5]);
        a6.Store(y[6]);
        a7.Store(y[7]);
        b0.Store(y[0] + TileRows);
        b1.Store(y[1] + TileRows);
        b2.Store(y[2] + TileRows);
        b3.Store(y[3] + TileRows);
        b4.Store(y[4] + TileRows);
        b5.Store(y[5] + TileRows);
        b6.Store(y[6] + TileRows);
        b7.Store(y[7] + TileRows);
    }
}
