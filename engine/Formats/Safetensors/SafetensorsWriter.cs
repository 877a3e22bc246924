using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text.Json;

namespace Tare.Formats.Safetensors;

/// <summary>A tensor to be written: <paramref name="Write"/> must write exactly the bytes of its type and shape.</summary>
public sealed record TensorToWrite(string Name, TensorType Type, ImmutableArray<long> Shape, Action<Stream> Write);

/// <summary>Writes safetensors files, streamed tensor by tensor; the file appears whole or not at all.</summary>
public static class SafetensorsWriter
{
    /// <summary>Writes tensors in the given order. Types that safetensors lacks are refused.</summary>
    public static void Write(string path, IReadOnlyList<TensorToWrite> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var (header, sizes) = Header(path, tensors, metadata);
        AtomicFile.Write(path, stream =>
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
            stream.Write(length);
            stream.Write(header);
            for (int i = 0; i < tensors.Count; i++)
            {
                long start = stream.Position;
                tensors[i].Write(stream);
                if (stream.Position - start != sizes[i]) throw new InvalidOperationException($"{tensors[i].Name}: {stream.Position - start} bytes were written, {sizes[i]} are needed");
            }
        });
    }

    private static (byte[] Header, long[] Sizes) Header(string path, IReadOnlyList<TensorToWrite> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        var buffer = new MemoryStream();
        var sizes = new long[tensors.Count];
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject("__metadata__");
                foreach (var (key, value) in metadata) json.WriteString(key, value);
                json.WriteEndObject();
            }
            long at = 0;
            for (int i = 0; i < sizes.Length; i++)
            {
                var (name, type, shape, _) = tensors[i];
                string dtype = SafetensorsReader.NameOf(type) ?? throw new ModelFileException(path, $"tensor '{name}': safetensors has no type {type}");
                sizes[i] = TensorLayout.Bytes(path, name, type, shape, TensorLayout.Elements(path, name, shape))!.Value;
                json.WriteStartObject(name);
                json.WriteString("dtype", dtype);
                json.WriteStartArray("shape");
                foreach (long size in shape) json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(at);
                json.WriteNumberValue(at += sizes[i]);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        while (buffer.Length % 8 != 0) buffer.WriteByte((byte)' ');
        return (buffer.ToArray(), sizes);
    }
}
