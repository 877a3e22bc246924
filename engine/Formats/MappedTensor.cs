using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Tare.Formats.Quantization;

namespace Tare.Formats;

/// <summary>One stored tensor: shape and type, and its bytes through bounds-checked spans. Nothing is read before it is asked for.</summary>
public sealed class MappedTensor
{
    private readonly MappedFile _file;
    private readonly long _offset;
    private readonly BlockFormat? _format;

    internal MappedTensor(MappedFile file, string name, TensorType type, ImmutableArray<long> shape, long offset, long elementCount, long byteLength, string? typeName = null)
    {
        TypeName = typeName ?? TensorTypes.NameOf(type);
        (_file, _offset, Name, Type, Shape, ElementCount, ByteLength) = (file, offset, name, type, shape, elementCount, byteLength);
        Width = shape.IsEmpty ? 1 : checked((int)shape[^1]);
        RowCount = Width == 0 ? 0 : elementCount / Width;
        if (BlockFormats.TryGet(type, out _format)) BytesPerRow = (long)Width / _format.ValuesPerBlock * _format.BytesPerBlock;
    }

    /// <summary>The file that holds it.</summary>
    public string File => _file.Path;

    /// <summary>The name in the file.</summary>
    public string Name { get; }

    /// <summary>The stored type; may be a number that this version doesn't know, which can be listed but not read.</summary>
    public TensorType Type { get; }

    /// <summary>The name of the type, or its number where it has none.</summary>
    public string TypeName { get; }

    /// <summary>Row-major, outermost first; [] for a scalar.</summary>
    public ImmutableArray<long> Shape { get; }

    /// <summary>Number of elements.</summary>
    public long ElementCount { get; }

    /// <summary>Product of all dimensions but the last.</summary>
    public long RowCount { get; }

    /// <summary>The last dimension; 1 for a scalar.</summary>
    public int Width { get; }

    /// <summary>Stored bytes of a row; 0 for unknown types.</summary>
    public long BytesPerRow { get; }

    /// <summary>Stored bytes; 0 for unknown types.</summary>
    public long ByteLength { get; }

    /// <summary>Whether the type can be decoded.</summary>
    public bool CanDecode => _format is not null;

    /// <summary>Throws the error that names file, tensor and type where the type can't be decoded.</summary>
    public void EnsureDecodable() => Format();

    /// <summary>The stored bytes of rows, which must fit a span.</summary>
    public ReadOnlySpan<byte> RawRows(long firstRow, int count)
    {
        _ = Format();
        CheckRows(firstRow, count);
        return _file.Span(_offset + firstRow * BytesPerRow, checked((int)(count * BytesPerRow)));
    }

    /// <summary>Copies the stored bytes of rows: <paramref name="destination"/> [count, BytesPerRow]. For bytes that are needed once: their pages are not mapped for it.</summary>
    public void CopyRawRows(long firstRow, int count, Span<byte> destination)
    {
        _ = Format();
        CheckRows(firstRow, count);
        if (destination.Length != count * BytesPerRow) throw new ArgumentException($"{destination.Length} bytes are not {count} rows of {BytesPerRow} of {Name}");
        _file.Read(_offset + firstRow * BytesPerRow, destination);
    }

    /// <summary>Gives the resident pages of the stored bytes back; reading them again works.</summary>
    internal void ReleasePages() => _file.ReleasePages(_offset, ByteLength);

    /// <summary>All stored bytes in pieces, in order (for writers).</summary>
    public void CopyRawTo(Stream destination, CancellationToken cancel = default)
    {
        _ = Format();
        for (long done = 0; done < ByteLength;)
        {
            cancel.ThrowIfCancellationRequested();
            int piece = (int)Math.Min(1 << 20, ByteLength - done);
            destination.Write(_file.Span(_offset + done, piece));
            done += piece;
        }
    }

    /// <summary>Decodes rows: <paramref name="destination"/> [count, Width]. Integers and F64 are converted.</summary>
    public void ReadRows(long firstRow, int count, Span<float> destination)
    {
        var format = Format();
        CheckRows(firstRow, count);
        if (Type == TensorType.F32 && BitConverter.IsLittleEndian && count > 1)
        {
            CopyRawRows(firstRow, count, MemoryMarshal.AsBytes(destination[..(count * Width)]));
            return;
        }
        for (int r = 0; r < count; r++) format.Decode(RawRows(firstRow + r, 1), destination.Slice(r * Width, Width));
    }

    /// <summary>Decodes rows: <paramref name="destination"/> [count, Width]. F64 and integers are exact; all else is the F32 value.</summary>
    public void ReadRows(long firstRow, int count, Span<double> destination)
    {
        var format = Format();
        CheckRows(firstRow, count);
        var row = new float[Width];
        for (int r = 0; r < count; r++)
        {
            var bytes = RawRows(firstRow + r, 1);
            if (Type is TensorType.F64 or TensorType.I64 or TensorType.I32)
            {
                for (int i = 0; i < Width; i++)
                    destination[r * Width + i] = Type switch
                    {
                        TensorType.F64 => BinaryPrimitives.ReadDoubleLittleEndian(bytes[(8 * i)..]),
                        TensorType.I64 => BinaryPrimitives.ReadInt64LittleEndian(bytes[(8 * i)..]),
                        _ => BinaryPrimitives.ReadInt32LittleEndian(bytes[(4 * i)..]),
                    };
                continue;
            }
            format.Decode(bytes, row);
            for (int i = 0; i < row.Length; i++) destination[r * Width + i] = row[i];
        }
    }

    /// <summary>All values as F32, for small tensors.</summary>
    public float[] ToArray()
    {
        var all = new float[checked((int)ElementCount)];
        ReadRows(0, checked((int)RowCount), all);
        return all;
    }

    /// <inheritdoc/>
    public override string ToString() => Name;

    private BlockFormat Format() => _format ?? throw new ModelFileException(File, $"{Name}: type {(Type == TensorType.Unknown ? TypeName : TensorTypes.Describe(Type))} can't be decoded (known: {TensorTypes.Known})");

    private void CheckRows(long firstRow, int count)
    {
        if (firstRow < 0 || count < 0 || firstRow > RowCount - count) throw new ArgumentOutOfRangeException(nameof(firstRow), $"rows {firstRow}…{firstRow + count} of {RowCount} in {Name}");
    }
}
