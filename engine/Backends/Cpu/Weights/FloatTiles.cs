using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights;

/// <summary>Tiles in F32: [matrices, tiles, width, 16].</summary>
internal sealed unsafe class FloatTiles : PackedMatrix
{
    private readonly NativeBuffer<float> _values;

    public FloatTiles(Weight weight, int matrices, int rows) : base(matrices, rows, weight.Width)
    {
        _values = new NativeBuffer<float>(checked((long)matrices * Tiles * Width * TileRows));
        var row = new float[Width];
        for (int m = 0; m < matrices; m++)
            for (int r = 0; r < Tiles * TileRows; r++)
            {
                if (r < rows) weight.Read((long)m * rows + r, 1, row);
                else Array.Clear(row);
                float* target = Tile(m, r / TileRows) + r % TileRows;
                for (int k = 0; k < row.Length; k++) target[(long)k * TileRows] = row[k];
            }
    }

    public override long Bytes => _values.Bytes;

    public override int PanelWidth => 1024;

    public override bool NeedsScratch => false;

    public override float* Panel(int matrix, int tile, int first, int count, float* scratch) => Tile(matrix, tile) + (long)first * TileRows;

    public override void Dispose() => _values.Dispose();

    private float* Tile(int matrix, int tile) => _values.Pointer + ((long)matrix * Tiles + tile) * Width * TileRows;
}
