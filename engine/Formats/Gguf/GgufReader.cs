using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Tare.Formats.Gguf;

/// <summary>Reads the header of one GGUF file (v2, v3) field by field; every length is checked against the bytes that are left before anything is allocated.</summary>
internal sealed class GgufReader(MappedFile file)
{
    private const int MaximumDepth = 8;
    private static readonly UTF8Encoding Utf8 = new(false, throwOnInvalidBytes: true);
    private long _at;

    public long Position => _at;

    private long Left => file.Length - _at;

    public uint UInt32(string field) => BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4, field));

    public ulong UInt64(string field) => BinaryPrimitives.ReadUInt64LittleEndian(Bytes(8, field));

    /// <summary>A count of things that take at least <paramref name="minimumBytes"/> each.</summary>
    public long Count(string field, int minimumBytes)
    {
        ulong count = UInt64(field);
        if (count > (ulong)(Left / minimumBytes)) throw new ModelFileException(file.Path, $"{field} = {count}, but only {Left} bytes are left");
        return (long)count;
    }

    public string String(string field)
    {
        long length = Count($"{field}: length", 1);
        if (length > int.MaxValue / 4) throw new ModelFileException(file.Path, $"{field}: a string of {length} bytes");
        try
        {
            return Utf8.GetString(Bytes((int)length, field));
        }
        catch (DecoderFallbackException e)
        {
            throw new ModelFileException(file.Path, $"{field} is not UTF-8", e);
        }
    }

    /// <summary>One metadata value of any type.</summary>
    public object Value(GgufValueType type, string field, int depth = 0) => type switch
    {
        GgufValueType.UInt8 => Bytes(1, field)[0],
        GgufValueType.Int8 => (sbyte)Bytes(1, field)[0],
        GgufValueType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(Bytes(2, field)),
        GgufValueType.Int16 => BinaryPrimitives.ReadInt16LittleEndian(Bytes(2, field)),
        GgufValueType.UInt32 => UInt32(field),
        GgufValueType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(Bytes(4, field)),
        GgufValueType.UInt64 => UInt64(field),
        GgufValueType.Int64 => BinaryPrimitives.ReadInt64LittleEndian(Bytes(8, field)),
        GgufValueType.Float32 => BinaryPrimitives.ReadSingleLittleEndian(Bytes(4, field)),
        GgufValueType.Float64 => BinaryPrimitives.ReadDoubleLittleEndian(Bytes(8, field)),
        GgufValueType.Bool => Bytes(1, field)[0] switch
        {
            0 => false,
            1 => true,
            var other => throw new ModelFileException(file.Path, $"{field}: {other} is not a bool (0 or 1)"),
        },
        GgufValueType.String => String(field),
        GgufValueType.Array => ReadArray(field, depth),
        _ => throw new ModelFileException(file.Path, $"{field}: value type {(int)type} is not known"),
    };

    private GgufArray ReadArray(string field, int depth)
    {
        if (depth >= MaximumDepth) throw new ModelFileException(file.Path, $"{field}: arrays are nested more than {MaximumDepth} deep");
        var element = (GgufValueType)UInt32($"{field}: element type");
        switch (element)
        {
            case GgufValueType.UInt8: return Numbers<byte>();
            case GgufValueType.Int8: return Numbers<sbyte>();
            case GgufValueType.UInt16: return Numbers<ushort>();
            case GgufValueType.Int16: return Numbers<short>();
            case GgufValueType.UInt32: return Numbers<uint>();
            case GgufValueType.Int32: return Numbers<int>();
            case GgufValueType.UInt64: return Numbers<ulong>();
            case GgufValueType.Int64: return Numbers<long>();
            case GgufValueType.Float32: return Numbers<float>();
            case GgufValueType.Float64: return Numbers<double>();
            case GgufValueType.Bool:
                {
                    var bools = new bool[Length(1)];
                    for (int i = 0; i < bools.Length; i++) bools[i] = (bool)Value(element, field);
                    return new GgufArray(element, bools);
                }
            case GgufValueType.String:
                {
                    var strings = new string[Length(8)];
                    for (int i = 0; i < strings.Length; i++) strings[i] = String(field);
                    return new GgufArray(element, strings);
                }
            case GgufValueType.Array:
                {
                    var arrays = new GgufArray[Length(12)];
                    for (int i = 0; i < arrays.Length; i++) arrays[i] = ReadArray(field, depth + 1);
                    return new GgufArray(element, arrays);
                }
            default: throw new ModelFileException(file.Path, $"{field}: element type {(int)element} is not known");
        }

        int Length(int minimumBytes)
        {
            long length = Count($"{field}: array length", minimumBytes);
            return length <= int.MaxValue / 8 ? (int)length : throw new ModelFileException(file.Path, $"{field}: an array of {length} items");
        }

        GgufArray Numbers<T>() where T : unmanaged
        {
            int size = System.Runtime.CompilerServices.Unsafe.SizeOf<T>();
            var items = new T[Length(size)];
            Bytes(items.Length * size, field).CopyTo(MemoryMarshal.AsBytes(items.AsSpan()));
            return new GgufArray(element, items);
        }
    }

    private ReadOnlySpan<byte> Bytes(int count, string field)
    {
        if (count > Left) throw new ModelFileException(file.Path, $"ends within {field} (byte {_at}: {count} wanted, {Left} left)");
        var bytes = file.Span(_at, count);
        _at += count;
        return bytes;
    }
}
