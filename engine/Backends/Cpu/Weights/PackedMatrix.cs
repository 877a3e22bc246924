using Tare.Backends.Cpu.Weights.Grouped;
using Tare.Formats;
using Tare.Formats.Quantization;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights;

/// <summary>
/// Stacked matrices [Matrices · Rows, Width] for products: each matrix in tiles of 16 rows, element (row, k) of a tile at [k][row], so that the lanes of a vector are outputs. The last tile of a matrix is
/// filled up with zero rows.
/// </summary>
internal abstract unsafe class PackedMatrix(int matrices, int rows, int width)
{
    /// <summary>Rows of a tile.</summary>
    public const int TileRows = 16;

    public int Matrices => matrices;

    /// <summary>Rows (outputs) of one matrix.</summary>
    public int Rows => rows;

    /// <summary>Elements of a row.</summary>
    public int Width => width;

    /// <summary>Tiles of one matrix.</summary>
    public int Tiles => (rows + TileRows - 1) / TileRows;

    /// <summary>Bytes that packing took.</summary>
    public abstract long Bytes { get; }

    /// <summary>Elements of k that a panel should hold: what is decoded for one pass over the activation rows. A multiple of 256.</summary>
    public abstract int PanelWidth { get; }

    /// <summary>Whether panels are computed into scratch, [PanelWidth + 16, 16] floats each.</summary>
    public abstract bool NeedsScratch { get; }

    /// <summary>F32 values [count, 16] of a tile from <paramref name="first"/> on (a multiple of 256), in place or decoded into <paramref name="scratch"/>.</summary>
    public abstract float* Panel(int matrix, int tile, int first, int count, float* scratch);

    /// <summary>Tiles that <see cref="Multiply"/> takes at most (2 or 4), or 0 where there is none. It reads the packed form itself, which beats panels for few rows.</summary>
    public virtual int DirectTiles => 0;

    /// <summary>y[o] += Σ_k w[o, k] x[k] for one, two or <see cref="DirectTiles"/> full tiles of outputs, with the bits of a product over panels: x [Width], y [16 · tiles].</summary>
    public virtual void Multiply(int matrix, int tile, int tiles, float* x, float* y) => throw new NotSupportedException();

    /// <summary>Whether <see cref="MultiplyIntegers"/> works.</summary>
    public virtual bool TakesIntegers => false;

    /// <summary>Whether the codes may have 8 bits; 16 always work.</summary>
    public virtual bool TakesBytes => false;

    /// <summary>Floats of scratch that <see cref="MultiplyIntegers"/> needs for so many rows.</summary>
    public virtual int IntegerScratchFloats(int rows) => 0;

    /// <summary>
    /// y[r][o] = from[r][o] + Σ_k w[o, k] x[r][k] for one or two tiles of outputs and activations as integers, over <paramref name="steps"/> · 32 values of k from the first step of x on, a multiple of 8. from and y are
    /// [rows] rows of [16 · tiles] floats, so many floats apart as the strides say.
    /// </summary>
    public virtual void MultiplyIntegers(int tile, int tiles, int steps, in IntegerRows x, int rows, float* from, long fromStride, float* y, long yStride, float* scratch) => throw new NotSupportedException();

    /// <summary>Packs by the stored type, into <paramref name="memory"/>, which must outlive the result. Types with grouped integers are interleaved, other quantized rows stay where they are and are decoded tile by tile; results of arithmetic become F32.</summary>
    public static PackedMatrix Pack(Weight weight, int matrices, int threads, WeightMemory memory)
    {
        weight.Prepare();
        int rows = checked((int)(weight.Rows / matrices));
        bool stored = weight.Rows > 0 && weight.TryGetStoredRow(0, out _);
        if (stored && weight.Type is TensorType.F16 or TensorType.BF16 && HalfTiles.TryPack(weight, matrices, rows, threads, memory) is { } half) return half;
        if (stored && GroupedTiles.TryPack(weight, matrices, rows, threads, memory) is { } grouped) return grouped;
        if (stored && weight.Type is not (TensorType.F32 or TensorType.F64) && BlockFormats.TryGet(weight.Type, out var format) && format.ValuesPerBlock > 1) return new StoredRows(weight, matrices, rows, format);
        return new FloatTiles(weight, matrices, rows, threads, memory);
    }
}
