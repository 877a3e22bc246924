using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Tare.Formats.Gguf;

/// <summary>A GGUF model, v2 or v3, in one file or split into parts.</summary>
public sealed partial class GgufFile : ModelFile
{
    private const uint Magic = 0x46554747; // "GGUF"
    private const int MaximumParts = 99_999;

    private GgufFile(string path) : base(path) => Metadata = new GgufMetadata(path);

    /// <summary>Format version of the first part.</summary>
    public int Version { get; private set; }

    /// <summary>Alignment of tensor data in the first part.</summary>
    public int Alignment { get; private set; }

    /// <summary>Number of files.</summary>
    public int Parts { get; private set; }

    /// <summary>The metadata of the first part.</summary>
    public GgufMetadata Metadata { get; }

    internal static GgufFile OpenParts(string path, OpenOptions options) => Read(path, part => MappedFile.Open(part, options.Map));

    internal static GgufFile FromBytes(string path, byte[] bytes) => Read(path, part => part == path ? MappedFile.FromBytes(path, bytes) : throw new ModelFileException(part, "no such file"));

    private static GgufFile Read(string path, Func<string, MappedFile> open)
    {
        var model = new GgufFile(path);
        try
        {
            var first = model.ReadPart(open(path), model.Metadata);
            (model.Version, model.Alignment, model.Parts) = (first.Version, first.Alignment, 1);
            if (model.Metadata.FindInteger("split.count") is not long count || count == 1) return model;

            if (count is < 1 or > MaximumParts) throw model.Metadata.Error("split.count", $"{count} is not a number of parts");
            if (model.Metadata.FindInteger("split.no") is not 0) throw model.Metadata.Error("split.no", $"{model.Metadata.FindInteger("split.no")?.ToString(CultureInfo.InvariantCulture) ?? "missing"}: open the first part (…-00001-of-{count:D5}.gguf)");
            var name = PartName().Match(path);
            if (!name.Success || name.Groups["count"].Value != count.ToString("D5", CultureInfo.InvariantCulture) || name.Groups["number"].Value != "00001")
                throw new ModelFileException(path, $"split.count is {count}, but the file is not named …-00001-of-{count:D5}.gguf");
            for (int number = 2; number <= count; number++)
            {
                string part = $"{name.Groups["stem"].Value}-{number:D5}-of-{count:D5}.gguf";
                var metadata = new GgufMetadata(part);
                model.ReadPart(open(part), metadata);
                if (metadata.FindInteger("split.no") != number - 1) throw metadata.Error("split.no", $"{metadata.FindInteger("split.no")?.ToString(CultureInfo.InvariantCulture) ?? "missing"} in part {number} of {count}");
                if (metadata.FindInteger("split.count") != count) throw metadata.Error("split.count", $"{metadata.FindInteger("split.count")?.ToString(CultureInfo.InvariantCulture) ?? "missing"}, the first part says {count}");
            }
            if (model.Metadata.FindInteger("split.tensors.count") is long tensors && tensors != model.Tensors.Count)
                throw model.Metadata.Error("split.tensors.count", $"{tensors}, but the parts hold {model.Tensors.Count} tensors");
            model.Parts = (int)count;
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private (int Version, int Alignment) ReadPart(MappedFile file, GgufMetadata metadata)
    {
        Own(file);
        var reader = new GgufReader(file);
        uint magic = reader.UInt32("magic");
        if (magic != Magic) throw new ModelFileException(file.Path, $"is not GGUF (it begins with 0x{magic:X8})");
        uint version = reader.UInt32("version");
        if (version is not (2 or 3)) throw new ModelFileException(file.Path, $"GGUF version {version} is not supported (2 and 3 are); a big-endian file shows as a huge number");
        long tensorCount = reader.Count("tensor count", 24);
        long keyCount = reader.Count("metadata count", 13);
        for (long i = 0; i < keyCount; i++)
        {
            string key = reader.String($"metadata key {i}");
            var type = (GgufValueType)reader.UInt32($"{key}: type");
            metadata.Add(key, type, reader.Value(type, key));
        }
        long alignment = metadata.FindInteger("general.alignment") ?? 32;
        if (alignment is < 1 or > 1 << 20 || !long.IsPow2(alignment)) throw metadata.Error("general.alignment", $"{alignment} is not a power of two up to 2^20");

        var headers = new List<(string Name, TensorType Type, ImmutableArray<long> Shape, long Elements, long Offset)>();
        for (long i = 0; i < tensorCount; i++) headers.Add(ReadHeader(reader, file.Path, i, alignment));
        long data = (reader.Position + alignment - 1) / alignment * alignment;
        if (data > file.Length)
        {
            if (headers.Exists(h => h.Elements > 0)) throw new ModelFileException(file.Path, $"ends at byte {file.Length}, before the tensor data at {data}");
            data = file.Length;
        }
        var ranges = new List<(string, long, long)>();
        foreach (var (name, type, shape, elements, offset) in headers)
        {
            long? bytes = TensorLayout.Bytes(file.Path, name, type, shape, elements);
            if (offset > file.Length - data || (bytes ?? 0) > file.Length - data - offset)
                throw new ModelFileException(file.Path, $"tensor '{name}': {bytes ?? 0} bytes at offset {offset} reach beyond the file's {file.Length - data} bytes of data");
            if (bytes > 0) ranges.Add((name, offset, bytes.Value));
            Add(new MappedTensor(file, name, type, shape, data + offset, elements, bytes ?? 0));
        }
        TensorLayout.RefuseOverlaps(file.Path, ranges);
        return ((int)version, (int)alignment);
    }

    private static (string, TensorType, ImmutableArray<long>, long, long) ReadHeader(GgufReader reader, string path, long index, long alignment)
    {
        string name = reader.String($"name of tensor {index}");
        uint dimensions = reader.UInt32($"tensor '{name}': dimension count");
        if (dimensions > 4) throw new ModelFileException(path, $"tensor '{name}': {dimensions} dimensions (at most 4)");
        var sizes = new long[dimensions];
        for (int d = sizes.Length - 1; d >= 0; d--) // the file lists the fastest dimension first
        {
            ulong size = reader.UInt64($"tensor '{name}': dimension");
            if (size > long.MaxValue) throw new ModelFileException(path, $"tensor '{name}': dimension {size}");
            sizes[d] = (long)size;
        }
        var shape = ImmutableArray.Create(sizes);
        long elements = TensorLayout.Elements(path, name, shape);
        uint type = reader.UInt32($"tensor '{name}': type");
        if (type > 999) throw new ModelFileException(path, $"tensor '{name}': type {type} is not a GGUF type");
        ulong offset = reader.UInt64($"tensor '{name}': offset");
        if (offset > long.MaxValue || (long)offset % alignment != 0) throw new ModelFileException(path, $"tensor '{name}': offset {offset} is not a multiple of the alignment {alignment}");
        return (name, (TensorType)type, shape, elements, (long)offset);
    }

    [GeneratedRegex(@"^(?<stem>.*)-(?<number>\d{5})-of-(?<count>\d{5})\.gguf$", RegexOptions.CultureInvariant | RegexOptions.Singleline)]
    private static partial Regex PartName();
}
