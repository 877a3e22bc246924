using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Quantization;
using Tare.Formats.Quantization.Encoding;
using Tare.Formats.Safetensors;
using Tare.Graphs.Weights;

namespace Tare.Bench;

/// <summary>A matrix of random numbers in a stored type, in a file of its own that goes with it.</summary>
internal sealed class StoredMatrix : IDisposable
{
    private readonly string _path = Path.GetTempFileName();
    private readonly ModelFile _file;

    public StoredMatrix(TensorType type, int rows, int width)
    {
        _ = BlockFormats.TryGet(type, out var format);
        GgufWriter.Write(_path, [], [new TensorToWrite("w", type, [rows, width], stream =>
        {
            var random = new Random(1);
            var row = new float[width];
            var bytes = new byte[width / format!.ValuesPerBlock * format.BytesPerBlock];
            for (int r = 0; r < rows; r++)
            {
                for (int i = 0; i < width; i++) row[i] = (float)(random.NextDouble() - 0.5);
                BlockEncoder.Encode(type, row, bytes);
                stream.Write(bytes);
            }
        })]);
        _file = ModelFile.Open(_path);
        Weight = new MappedWeight(_file.Tensors[0]);
    }

    public Weight Weight { get; }

    public void Dispose()
    {
        _file.Dispose();
        File.Delete(_path);
    }
}
