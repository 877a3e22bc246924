using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights;

/// <summary>Tiles in F32: [matrices, tiles, width, 16].</summary>
internal sealed unsafe class FloatTiles : PackedMatrix
{
    private readonly float* _values;

    public FloatTiles(Weight weight, int matrices, int rows, int threads, WeightMemory memory) : base(matrices, rows, weight.Width)
    {
        _values = (float*)memory.Take(Bytes = checked((long)matrices * Tiles * Width * TileRows * sizeof(float)));
        Parallel.For(0L, (long)matrices * Tiles, new ParallelOptions { MaxDegreeOfParallelism = threads }, () => new float[checked(TileRows * Width)], (t, _, values) =>
        {
            int m = (int)(t / Tiles), tile = (int)(t % Tiles), first = tile * TileRows, count = Math.Min(TileRows, rows - first);
            weight.Read((long)m * rows + first, count, values);
            values.AsSpan(count * Width).Clear();
            fixed (float* source = values) Transposition.Run((uint*)source, Width, (uint*)Tile(m, tile), Width);
            return values;
        }, _ => { });
    }

    public override long Bytes { get; }

    public override int PanelWidth => 1024;

    public override bool NeedsScratch => false;

    public override float* Panel(int matrix, int tile, int first, int count, float* scratch) => Tile(matrix, tile) + (long)first * TileRows;

    private float* Tile(int matrix, int tile) => _values + ((long)matrix * Tiles + tile) * Width * TileRows;
}
