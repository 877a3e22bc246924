using System.Collections.Immutable;
using Tare.Formats.Quantization;

namespace Tare.Formats;

/// <summary>Checks the sizes that a file declares for a tensor.</summary>
internal static class TensorLayout
{
    /// <summary>Number of elements of a shape (row-major), with overflow and sizes checked.</summary>
    public static long Elements(string path, string name, ImmutableArray<long> shape)
    {
        long elements = 1;
        bool empty = false;
        foreach (long size in shape)
        {
            if (size < 0) throw new ModelFileException(path, $"tensor '{name}': dimension {size} is negative");
            if (size == 0) { empty = true; continue; }
            if (elements > (1L << 60) / size) throw new ModelFileException(path, $"tensor '{name}': shape [{string.Join(',', shape)}] overflows");
            elements *= size;
        }
        if (!shape.IsEmpty && shape[^1] > int.MaxValue) throw new ModelFileException(path, $"tensor '{name}': a row of {shape[^1]} elements is too long");
        return empty ? 0 : elements;
    }

    /// <summary>Bytes of a tensor; null for types that can't be decoded.</summary>
    public static long? Bytes(string path, string name, TensorType type, ImmutableArray<long> shape, long elements)
    {
        if (!BlockFormats.TryGet(type, out var format)) return null;
        long width = shape.IsEmpty ? 1 : shape[^1];
        if (width % format.ValuesPerBlock != 0) throw new ModelFileException(path, $"tensor '{name}': {type} stores blocks of {format.ValuesPerBlock}, which don't divide a row of {width}");
        return elements / format.ValuesPerBlock * format.BytesPerBlock;
    }

    /// <summary>Throws when two ranges overlap. Ranges: name, start, length.</summary>
    public static void RefuseOverlaps(string path, List<(string Name, long Start, long Length)> ranges)
    {
        ranges.Sort((a, b) => a.Start != b.Start ? a.Start.CompareTo(b.Start) : a.Length.CompareTo(b.Length));
        for (int i = 1; i < ranges.Count; i++)
            if (ranges[i - 1].Start + ranges[i - 1].Length > ranges[i].Start)
                throw new ModelFileException(path, $"tensors '{ranges[i - 1].Name}' and '{ranges[i].Name}' overlap at byte {ranges[i].Start}");
    }
}
