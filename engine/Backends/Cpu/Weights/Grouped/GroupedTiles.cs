using Tare.Formats;
using Tare.Formats.Quantization;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights.Grouped;

/// <summary>Makes tiles of the types that have grouped integers.</summary>
internal static class GroupedTiles
{
    /// <summary>Packs stored rows, or gives null for other types.</summary>
    public static PackedMatrix? TryPack(Weight weight, int matrices, int rows, int threads, WeightMemory memory) => weight.Type switch
    {
        TensorType.Q4_0 => new GroupedTiles<GroupedQ4_0>(weight, matrices, rows, threads, memory),
        TensorType.Q4_1 => new GroupedTiles<GroupedQ4_1>(weight, matrices, rows, threads, memory),
        TensorType.Q5_0 => new GroupedTiles<GroupedQ5_0>(weight, matrices, rows, threads, memory),
        TensorType.Q5_1 => new GroupedTiles<GroupedQ5_1>(weight, matrices, rows, threads, memory),
        TensorType.Q8_0 => new GroupedTiles<GroupedQ8_0>(weight, matrices, rows, threads, memory),
        TensorType.Q4_K => new GroupedTiles<GroupedQ4_K>(weight, matrices, rows, threads, memory),
        TensorType.Q5_K => new GroupedTiles<GroupedQ5_K>(weight, matrices, rows, threads, memory),
        TensorType.Q6_K => new GroupedTiles<GroupedQ6_K>(weight, matrices, rows, threads, memory),
        TensorType.IQ4_NL => new GroupedTiles<GroupedIQ4_NL>(weight, matrices, rows, threads, memory),
        TensorType.MXFP4 => new GroupedTiles<GroupedMXFP4>(weight, matrices, rows, threads, memory),
        _ => null,
    };
}

/// <summary>Tiles of small integers, laid out as <see cref="TileLayout{T}"/> says.</summary>
internal sealed unsafe partial class GroupedTiles<T> : PackedMatrix where T : struct, IGroupedIntegers
{
    private const int Step = 32, BlockSteps = TileLayout<T>.BlockSteps;

    private readonly byte* _blocks;
    private readonly long _tileBytes;

    public GroupedTiles(Weight weight, int matrices, int rows, int threads, WeightMemory memory) : base(matrices, rows, weight.Width)
    {
        _ = BlockFormats.TryGet(T.Type, out var format);
        _tileBytes = TileLayout<T>.TileBytes(Width / Step);
        _blocks = memory.Take(Bytes = checked((long)matrices * Tiles * _tileBytes));
        StoredTiles.Pack(weight, matrices, rows, Width / format!.ValuesPerBlock * format.BytesPerBlock, threads, (stored, matrix, tile, count) => Pack(stored, format, Tile(matrix, tile), count));
    }

    public override long Bytes { get; }

    public override int PanelWidth => 512;

    public override bool NeedsScratch => true;

    public override int DirectTiles => 2;

    public override float* Panel(int matrix, int tile, int first, int count, float* scratch)
    {
        GroupedKernels<T>.Widest.Values(Tile(matrix, tile) + TileLayout<T>.BlockAt(first / Step / BlockSteps), (Width - first) / Step, count / Step, scratch);
        return scratch;
    }

    public override void Multiply(int matrix, int tile, int tiles, float* x, float* y)
        => GroupedKernels<T>.Widest.Multiply(Tile(matrix, tile), Tile(matrix, tile + tiles - 1), Width / Step, x, y, y + (tiles - 1) * TileRows);

    public override bool TakesIntegers => true;

    public override bool TakesBytes => T.Center >= 0;

    public override int IntegerScratchFloats(int rows) => 2 * TilePanel.Floats + rows * 2 * TileRows;

    public override void MultiplyIntegers(int tile, int tiles, int steps, in IntegerRows x, int rows, float* from, long fromStride, float* y, long yStride, float* scratch)
        => GroupedKernels<T>.Widest.MultiplyIntegers(Tile(0, tile) + TileLayout<T>.BlockAt(x.FirstStep / BlockSteps), _tileBytes, tiles, steps, x, rows, from, fromStride, y, yStride, scratch);

    private byte* Tile(int matrix, int tile) => _blocks + ((long)matrix * Tiles + tile) * _tileBytes;
}
