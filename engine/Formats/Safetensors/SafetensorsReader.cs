using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text.Json;

namespace Tare.Formats.Safetensors;

/// <summary>Reads the header of one safetensors file: 8 bytes of length, JSON, then the data without holes or overlaps.</summary>
internal static class SafetensorsReader
{
    private const long MaximumHeader = 100_000_000;

    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 16, AllowDuplicateProperties = false };

    private static readonly ImmutableDictionary<string, TensorType> Types = new Dictionary<string, TensorType>
    {
        ["F64"] = TensorType.F64,
        ["F32"] = TensorType.F32,
        ["F16"] = TensorType.F16,
        ["BF16"] = TensorType.BF16,
        ["F8_E4M3"] = TensorType.F8_E4M3,
        ["F8_E5M2"] = TensorType.F8_E5M2,
        ["I8"] = TensorType.I8,
        ["I16"] = TensorType.I16,
        ["I32"] = TensorType.I32,
        ["I64"] = TensorType.I64,
        ["U8"] = TensorType.U8,
        ["BOOL"] = TensorType.Bool,
    }.ToImmutableDictionary();

    /// <summary>The name that a type has in this format; null where it has none.</summary>
    public static string? NameOf(TensorType type) => Types.FirstOrDefault(t => t.Value == type).Key;

    /// <summary>All tensors in the order of their data, and the free-form metadata.</summary>
    public static List<MappedTensor> Read(MappedFile file, Dictionary<string, string>? metadata = null)
    {
        if (file.Length < 8) throw new ModelFileException(file.Path, $"has {file.Length} bytes, too few for a safetensors header");
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(file.Span(0, 8));
        if (length > MaximumHeader || (long)length > file.Length - 8) throw new ModelFileException(file.Path, $"header length {length} (the file has {file.Length} bytes, a header at most {MaximumHeader})");
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(file.Span(8, (int)length).ToArray(), Strict);
        }
        catch (JsonException e)
        {
            throw new ModelFileException(file.Path, $"header is not JSON ({e.Message})", e);
        }
        using (document) return ReadHeader(file, document.RootElement, 8 + (long)length, metadata);
    }

    private static List<MappedTensor> ReadHeader(MappedFile file, JsonElement root, long data, Dictionary<string, string>? metadata)
    {
        if (root.ValueKind != JsonValueKind.Object) throw new ModelFileException(file.Path, "header is not a JSON object");
        var tensors = new List<(long Start, long End, MappedTensor Tensor)>();
        try
        {
            foreach (var property in root.EnumerateObject())
            {
                if (property.Name == "__metadata__") ReadMetadata(file.Path, property.Value, metadata);
                else tensors.Add(ReadTensor(file, property.Name, property.Value, data));
            }
        }
        catch (InvalidOperationException e) // a name or string that is not valid UTF-16/UTF-8
        {
            throw new ModelFileException(file.Path, $"header: {e.Message}", e);
        }
        tensors.Sort((a, b) => a.Start != b.Start ? a.Start.CompareTo(b.Start) : a.End.CompareTo(b.End));
        long at = 0;
        foreach (var (start, end, tensor) in tensors)
        {
            if (start != at) throw new ModelFileException(file.Path, $"tensor '{tensor.Name}' begins at {start}, the data before it ends at {at}");
            at = end;
        }
        if (at != file.Length - data) throw new ModelFileException(file.Path, $"tensors end at byte {at} of {file.Length - data} bytes of data");
        return [.. tensors.Select(t => t.Tensor)];
    }

    private static void ReadMetadata(string path, JsonElement value, Dictionary<string, string>? metadata)
    {
        if (value.ValueKind != JsonValueKind.Object) throw new ModelFileException(path, "__metadata__ is not an object");
        foreach (var entry in value.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.String) throw new ModelFileException(path, $"__metadata__.{entry.Name} is not a string");
            metadata?.Add(entry.Name, entry.Value.GetString()!);
        }
    }

    private static (long, long, MappedTensor) ReadTensor(MappedFile file, string name, JsonElement entry, long data)
    {
        if (entry.ValueKind != JsonValueKind.Object) throw Fault("is not an object");
        if (!entry.TryGetProperty("dtype", out var dtype) || dtype.ValueKind != JsonValueKind.String) throw Fault("has no dtype");
        if (!Types.TryGetValue(dtype.GetString()!, out var type)) type = TensorType.Unknown; // can be listed, not read
        if (!entry.TryGetProperty("shape", out var sizes) || sizes.ValueKind != JsonValueKind.Array) throw Fault("has no shape");
        if (!entry.TryGetProperty("data_offsets", out var offsets) || offsets.ValueKind != JsonValueKind.Array || offsets.GetArrayLength() != 2) throw Fault("has no data_offsets [begin, end]");
        if (sizes.GetArrayLength() > 16) throw Fault($"has {sizes.GetArrayLength()} dimensions");
        var shape = sizes.EnumerateArray().Select(s => Integer(s, "shape")).ToImmutableArray();
        long start = Integer(offsets[0], "data_offsets"), end = Integer(offsets[1], "data_offsets");
        long elements = TensorLayout.Elements(file.Path, name, shape);
        if (start < 0 || end < start || end > file.Length - data) throw Fault($"data_offsets [{start}, {end}] are outside of {file.Length - data} bytes of data");
        long bytes = TensorLayout.Bytes(file.Path, name, type, shape, elements) ?? end - start;
        if (end - start != bytes) throw Fault($"data_offsets [{start}, {end}] hold {end - start} bytes, {dtype.GetString()} [{string.Join(',', shape)}] needs {bytes}");
        return (start, end, new MappedTensor(file, name, type, shape, data + start, elements, bytes, type == TensorType.Unknown ? dtype.GetString() : null));

        long Integer(JsonElement value, string field) => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) ? number : throw Fault($"{field}: {value.GetRawText()} is not an integer");

        ModelFileException Fault(string problem) => new(file.Path, $"tensor '{name}' {problem}");
    }
}
