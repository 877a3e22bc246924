using System.Text;
using Tare.Formats.Safetensors;

namespace Tare.Formats.Gguf;

/// <summary>Writes GGUF files (v3; v2 for tests of readers), streamed tensor by tensor; the file appears whole or not at all.</summary>
public static class GgufWriter
{
    /// <summary>Writes metadata (key, type, value as <see cref="GgufMetadata.TryGet"/> gives it) and tensors. <paramref name="alignment"/> is a power of two and is written as <c>general.alignment</c> unless it is 32; <paramref name="check"/> may read the finished file before it gets its name.</summary>
    public static void Write(string path, IReadOnlyList<(string Key, GgufValueType Type, object Value)> metadata, IReadOnlyList<TensorToWrite> tensors, int alignment = 32, int version = 3, Action<string>? check = null)
    {
        if (alignment <= 0 || !int.IsPow2(alignment)) throw new ArgumentOutOfRangeException(nameof(alignment), alignment, "is not a power of two");
        AtomicFile.Write(path, stream =>
        {
            using var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
            var entries = metadata.Where(m => m.Key != "general.alignment").ToList();
            if (alignment != 32) entries.Add(("general.alignment", GgufValueType.UInt32, (uint)alignment));
            writer.Write("GGUF"u8);
            writer.Write(version);
            writer.Write((ulong)tensors.Count);
            writer.Write((ulong)entries.Count);
            foreach (var (key, type, value) in entries)
            {
                WriteString(writer, key);
                writer.Write((int)type);
                WriteValue(writer, type, value);
            }
            var sizes = new long[tensors.Count];
            long offset = 0;
            for (int i = 0; i < sizes.Length; i++)
            {
                var (name, type, shape, _) = tensors[i];
                if ((int)type > 999 || shape.Length > 4) throw new ModelFileException(path, $"tensor '{name}': GGUF can't hold {type} with {shape.Length} dimensions");
                sizes[i] = TensorLayout.Bytes(path, name, type, shape, TensorLayout.Elements(path, name, shape)) ?? throw new ModelFileException(path, $"tensor '{name}': type {TensorTypes.Describe(type)} has no known size");
                WriteString(writer, name);
                writer.Write(shape.Length);
                for (int d = shape.Length - 1; d >= 0; d--) writer.Write(shape[d]);
                writer.Write((int)type);
                writer.Write(offset);
                offset = Align(offset + sizes[i], alignment);
            }
            for (int i = 0; i < sizes.Length; i++)
            {
                Pad(writer, alignment);
                long start = stream.Position;
                tensors[i].Write(stream);
                if (stream.Position - start != sizes[i]) throw new InvalidOperationException($"{tensors[i].Name}: {stream.Position - start} bytes were written, {sizes[i]} are needed");
            }
            Pad(writer, alignment);
        }, check);
    }

    private static long Align(long value, int alignment) => (value + alignment - 1) / alignment * alignment;

    private static void Pad(BinaryWriter writer, int alignment)
    {
        writer.Flush();
        for (long left = Align(writer.BaseStream.Position, alignment) - writer.BaseStream.Position; left > 0; left--) writer.Write((byte)0);
        writer.Flush();
    }

    private static void WriteString(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static void WriteValue(BinaryWriter writer, GgufValueType type, object value)
    {
        switch (type)
        {
            case GgufValueType.UInt8: writer.Write((byte)value); break;
            case GgufValueType.Int8: writer.Write((sbyte)value); break;
            case GgufValueType.UInt16: writer.Write((ushort)value); break;
            case GgufValueType.Int16: writer.Write((short)value); break;
            case GgufValueType.UInt32: writer.Write((uint)value); break;
            case GgufValueType.Int32: writer.Write((int)value); break;
            case GgufValueType.UInt64: writer.Write((ulong)value); break;
            case GgufValueType.Int64: writer.Write((long)value); break;
            case GgufValueType.Float32: writer.Write((float)value); break;
            case GgufValueType.Float64: writer.Write((double)value); break;
            case GgufValueType.Bool: writer.Write((bool)value); break;
            case GgufValueType.String: WriteString(writer, (string)value); break;
            case GgufValueType.Array:
                var array = (GgufArray)value;
                writer.Write((int)array.ElementType);
                writer.Write((ulong)array.Items.Length);
                foreach (object item in array.Items) WriteValue(writer, array.ElementType, item);
                break;
            default: throw new ArgumentOutOfRangeException(nameof(type), type, "is not a metadata type");
        }
    }
}
