using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights;

/// <summary>Tiles in F32: [matrices, tiles, width, 16].</summary>
internal sealed unsafe class FloatTiles : PackedMatrix
{
    private readonly NativeBuffer<float> _values;

    public FloatTiles(Weight weight, int matrices, int rows) : base(matrices, rows, weight.Width)
    {
        _values = new NativeBuffer<float>(checked((long)matrices * Tiles * Width * TileRows));
        Parallel.For(0L, (long)matrices * Tiles, () => new float[Width], (t, _, row) =>
        {
            int m = (int)(t / Tiles), tile = (int)(t % Tiles);
            for (int r = 0; r < TileRows; r++)
            {
                int index = tile * TileRows + r;
                if (index < rows) weight.Read((long)m * rows + index, 1, row);
                else Array.Clear(row);
                float* target = Tile(m, tile) + r;
                for (int k = 0; k < row.Length; k++) target[(long)k * TileRows] = row[k];
            }
            return row;
        }, _ => { });
    }

    public override long Bytes => _values.Bytes;

    public override int PanelWidth => 1024;

    public override bool NeedsScratch => false;

    public override float* Panel(int matrix, int tile, int first, int count, float* scratch) => Tile(matrix, tile) + (long)first * TileRows;

    public override void Dispose() => _values.Dispose();

    private float* Tile(int matrix, int tile) => _values.Pointer + ((long)matrix * Tiles + tile) * Width * TileRows;
}
