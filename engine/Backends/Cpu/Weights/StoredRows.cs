using Tare.Formats.Quantization;
using Tare.Graphs.Weights;

namespace Tare.Backends.Cpu.Weights;

/// <summary>Quantized rows where they lie in the file, decoded to F32 and interleaved panel by panel. Takes no memory of its own.</summary>
internal sealed unsafe class StoredRows(Weight weight, int matrices, int rows, BlockFormat format) : PackedMatrix(matrices, rows, weight.Width)
{
    public override long Bytes => 0;

    public override int PanelWidth => 256;

    public override bool NeedsScratch => true;

    public override float* Panel(int matrix, int tile, int first, int count, float* scratch)
    {
        float* row = stackalloc float[PanelWidth];
        int start = first / format.ValuesPerBlock * format.BytesPerBlock, bytes = count / format.ValuesPerBlock * format.BytesPerBlock;
        for (int r = 0; r < TileRows; r++)
        {
            int index = tile * TileRows + r;
            var values = new Span<float>(row, count);
            if (index < Rows && weight.TryGetStoredRow((long)matrix * Rows + index, out var stored)) format.Decode(stored.Slice(start, bytes), values);
            else values.Clear();
            for (int k = 0; k < count; k++) scratch[k * TileRows + r] = row[k];
        }
        return scratch;
    }
}
