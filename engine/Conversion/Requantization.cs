using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Quantization;
using Tare.Formats.Quantization.Encoding;
using Tare.Formats.Safetensors;

namespace Tare.Conversion;

/// <summary>What became of one tensor.</summary>
/// <param name="Name">Its name.</param>
/// <param name="From">Its type in the input.</param>
/// <param name="To">Its type in the output.</param>
/// <param name="Reason">Why it did not get the wanted type; null where it did.</param>
public sealed record RequantizedTensor(string Name, TensorType From, TensorType To, string? Reason);

/// <summary>Writes a GGUF file with its matrices in another type. Vectors stay F32; router and position tables keep their type; rows that the type can't divide become F16.</summary>
public static class Requantization
{
    private const int RowsAtATime = 256;

    /// <summary>Types that can be written.</summary>
    public static IReadOnlyList<TensorType> Types => BlockEncoder.Types;

    /// <summary>What would become of each tensor.</summary>
    public static IReadOnlyList<RequantizedTensor> Plan(GgufFile file, TensorType type) => [.. file.Tensors.Select(t => Plan(t, type))];

    /// <summary>Writes the file; it appears whole or not at all. Throws <see cref="ModelFileException"/> where a tensor can't be decoded.</summary>
    public static void Write(GgufFile file, string path, TensorType type, IProgress<(int Done, int Total)>? progress = null, CancellationToken cancel = default)
    {
        if (!Types.Contains(type)) throw new ArgumentException($"{type} can't be written (can be: {string.Join(", ", Types)})");
        file.RefuseToOverwrite(path);
        int done = 0;
        var tensors = new List<TensorToWrite>();
        foreach (var (tensor, plan) in file.Tensors.Zip(Plan(file, type)))
        {
            if (plan.From != plan.To) tensor.EnsureDecodable();
            tensors.Add(new TensorToWrite(tensor.Name, plan.To, tensor.Shape, stream =>
            {
                if (plan.From == plan.To) tensor.CopyRawTo(stream, cancel);
                else Encode(tensor, plan.To, stream, cancel);
                progress?.Report((++done, file.Tensors.Count));
            }));
        }
        GgufWriter.Write(path, Metadata(file, type), tensors);
    }

    private static RequantizedTensor Plan(MappedTensor tensor, TensorType type)
    {
        RequantizedTensor Keep(string reason) => new(tensor.Name, tensor.Type, tensor.Type, reason);
        if (tensor.Shape.Length < 2) return Keep("a vector");
        if (tensor.Type is TensorType.F64 or TensorType.I8 or TensorType.I16 or TensorType.I32 or TensorType.I64) return Keep("not a weight");
        if (tensor.Name.Contains("ffn_gate_inp", StringComparison.Ordinal) || tensor.Name.StartsWith("position_embd", StringComparison.Ordinal) || tensor.Name.StartsWith("token_types", StringComparison.Ordinal)) return Keep("kept as it is");
        _ = BlockFormats.TryGet(type, out var format);
        return tensor.Width % format!.ValuesPerBlock == 0 ? new(tensor.Name, tensor.Type, type, null)
            : new(tensor.Name, tensor.Type, tensor.Type is TensorType.F32 or TensorType.BF16 ? TensorType.F16 : tensor.Type, $"blocks of {format.ValuesPerBlock} don't divide rows of {tensor.Width}");
    }

    private static void Encode(MappedTensor tensor, TensorType type, Stream stream, CancellationToken cancel)
    {
        _ = BlockFormats.TryGet(type, out var format);
        int rowBytes = tensor.Width / format!.ValuesPerBlock * format.BytesPerBlock;
        var bytes = new byte[RowsAtATime * rowBytes];
        for (long first = 0; first < tensor.RowCount; first += RowsAtATime)
        {
            cancel.ThrowIfCancellationRequested();
            int count = (int)Math.Min(RowsAtATime, tensor.RowCount - first);
            Parallel.For(0, count, () => new float[tensor.Width], (r, _, row) =>
            {
                tensor.ReadRows(first + r, 1, row);
                BlockEncoder.Encode(type, row, bytes.AsSpan(r * rowBytes, rowBytes));
                return row;
            }, _ => { });
            stream.Write(bytes, 0, count * rowBytes);
        }
    }

    private static List<(string, GgufValueType, object)> Metadata(GgufFile file, TensorType type)
    {
        var metadata = new List<(string, GgufValueType, object)>();
        foreach (string key in file.Metadata.Keys)
            if (key is not ("general.file_type" or "general.quantization_version") && !key.StartsWith("split.", StringComparison.Ordinal) && file.Metadata.TryGet(key, out var kind, out object? value)) metadata.Add((key, kind, value!));
        // The numbers of llama.cpp's llama_ftype.
        uint number = type switch { TensorType.F32 => 0u, TensorType.F16 => 1, TensorType.Q4_0 => 2, TensorType.Q4_1 => 3, TensorType.Q8_0 => 7, _ => 32 };
        metadata.Add(("general.file_type", GgufValueType.UInt32, number));
        metadata.Add(("general.quantization_version", GgufValueType.UInt32, 2u));
        return metadata;
    }
}
