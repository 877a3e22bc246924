using System.Runtime.InteropServices;
using System.Text.Json;
using Tare.Formats;
using Tare.Formats.Safetensors;

namespace Tare.Capture.Statistics;

/// <summary>
/// Statistics as safetensors, chunk and merged file alike. <c>facts</c> F64 [sites, groups, facts, 7] (count, mean, M2, M3, M4, min, max), <c>elements</c> F64 [sites, groups, 7], <c>skipped</c> I64 [sites, groups];
/// <c>heads/SITE</c> F64 [groups, heads, 7] and <c>heads/SITE/skipped</c> I64 [groups]; <c>channels/SITE</c> F64 [groups, 3, width] (mean, M2, largest magnitude) and <c>channels/SITE/count</c> I64 [groups]. Axes are named in the metadata.
/// </summary>
public sealed class StatisticsFile
{
    /// <summary>Name and version of the layout.</summary>
    public const string Schema = "tare-residual-statistics/1";

    private StatisticsFile(string path, IReadOnlyList<SiteStatistics> sites, IReadOnlyDictionary<string, string> metadata) => (Path, Sites, Metadata) = (path, sites, metadata);

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The sites in the order of the model.</summary>
    public IReadOnlyList<SiteStatistics> Sites { get; }

    /// <summary>All metadata, by key.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Writes the file, whole or not at all.</summary>
    public static void Write(string path, IReadOnlyList<SiteStatistics> sites, IReadOnlyDictionary<string, string> metadata)
    {
        int groups = RowGroup.Count, facts = RowFacts.Count;
        var rows = sites.Where(s => !s.Site.IsHeads).ToList();
        var tensors = new List<TensorToWrite>();
        if (rows.Count > 0)
        {
            tensors.Add(F64("facts", [rows.Count, groups, facts, 7], [.. rows.SelectMany(s => s.Columns.SelectMany(Flat))]));
            tensors.Add(F64("elements", [rows.Count, groups, 7], [.. rows.SelectMany(s => s.Elements.SelectMany(m => new[] { m.Count, m.Mean, m.M2, m.M3, m.M4, m.Min, m.Max }))]));
            tensors.Add(I64("skipped", [rows.Count, groups], [.. rows.SelectMany(s => s.Skipped)]));
        }
        foreach (var site in sites)
        {
            if (site.Site.IsHeads)
            {
                tensors.Add(F64($"heads/{site.Site.Name}", [groups, site.Site.Width, 7], [.. site.Columns.SelectMany(Flat)]));
                tensors.Add(I64($"heads/{site.Site.Name}/skipped", [groups], site.Skipped));
            }
            if (site.Channels is null) continue;
            tensors.Add(F64($"channels/{site.Site.Name}", [groups, 3, site.Site.Width], [.. site.Channels.SelectMany(c => c.Values.ToArray())]));
            tensors.Add(I64($"channels/{site.Site.Name}/count", [groups], [.. site.Channels.Select(c => c.Count)]));
        }
        SafetensorsWriter.Write(path, tensors, new Dictionary<string, string>(metadata)
        {
            ["tare.schema"] = Schema,
            ["tare.sites"] = JsonSerializer.Serialize(sites.Select(s => s.Site)),
            ["tare.groups"] = JsonSerializer.Serialize(RowGroup.Names),
            ["tare.facts"] = JsonSerializer.Serialize(RowFacts.Names),
            ["tare.moments"] = "[\"count\",\"mean\",\"M2\",\"M3\",\"M4\",\"min\",\"max\"]",
        });
    }

    /// <summary>Whether a .safetensors file says that it holds statistics.</summary>
    public static bool IsOne(string path)
    {
        using var file = ModelFile.Open(path);
        return file is CheckpointFolder folder && folder.FileMetadata.ContainsKey("tare.facts");
    }

    /// <summary>Reads a file. Throws <see cref="ModelFileException"/> for one of another kind or version, or that contradicts itself.</summary>
    public static StatisticsFile Read(string path)
    {
        if (!path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase)) throw new ModelFileException(path, "is no .safetensors file");
        using var file = ModelFile.Open(path);
        var metadata = ((CheckpointFolder)file).FileMetadata;
        if (!metadata.TryGetValue("tare.schema", out string? schema) || schema != Schema) throw new ModelFileException(path, $"is not a statistics file of schema {Schema} (tare.schema = {schema ?? "absent"})");
        if (metadata.GetValueOrDefault("tare.facts") != JsonSerializer.Serialize(RowFacts.Names) || metadata.GetValueOrDefault("tare.groups") != JsonSerializer.Serialize(RowGroup.Names)) throw new ModelFileException(path, "tare.facts or tare.groups name other columns than this version's");
        SiteColumns[] columns;
        try
        {
            columns = JsonSerializer.Deserialize<SiteColumns[]>(metadata.GetValueOrDefault("tare.sites") ?? "null") ?? throw new JsonException();
        }
        catch (JsonException)
        {
            throw new ModelFileException(path, "tare.sites is not a list of sites");
        }
        if (columns.Any(c => c is null || string.IsNullOrEmpty(c.Name) || c.Width is < 1 or > 1 << 24)) throw new ModelFileException(path, "tare.sites holds a site without a name or width");
        int rows = columns.Count(c => !c.IsHeads), row = 0;
        double[] facts = rows == 0 ? [] : Doubles(file, "facts", [rows, RowGroup.Count, RowFacts.Count, 7]), elements = rows == 0 ? [] : Doubles(file, "elements", [rows, RowGroup.Count, 7]), skipped = rows == 0 ? [] : Doubles(file, "skipped", [rows, RowGroup.Count]);
        var sites = new List<SiteStatistics>();
        foreach (var site in columns)
        {
            var s = new SiteStatistics(site);
            double[] own = site.IsHeads ? Doubles(file, $"heads/{site.Name}", [RowGroup.Count, site.Width, 7]) : facts.AsSpan(row * RowGroup.Count * RowFacts.Count * 7, RowGroup.Count * RowFacts.Count * 7).ToArray();
            double[]? ownSkipped = site.IsHeads ? Doubles(file, $"heads/{site.Name}/skipped", [RowGroup.Count]) : null;
            double[]? channels = site.HasChannels ? Doubles(file, $"channels/{site.Name}", [RowGroup.Count, 3, site.Width]) : null, counts = site.HasChannels ? Doubles(file, $"channels/{site.Name}/count", [RowGroup.Count]) : null;
            for (int g = 0, size = own.Length / RowGroup.Count; g < RowGroup.Count; g++)
            {
                s.Columns[g] = ColumnMoments.From(own.AsSpan(g * size, size));
                if (channels is not null) s.Channels![g] = ChannelMoments.From((long)counts![g], channels.AsSpan(g * 3 * site.Width, 3 * site.Width));
                s.Skipped[g] = (long)(site.IsHeads ? ownSkipped![g] : skipped[row * RowGroup.Count + g]);
                if (!site.IsHeads) s.Elements[g] = ColumnMoments.Read(elements.AsSpan((row * RowGroup.Count + g) * 7));
            }
            if (!site.IsHeads) row++;
            sites.Add(s);
        }
        return new StatisticsFile(path, sites, metadata);
    }

    private static double[] Flat(ColumnMoments columns)
    {
        var values = new double[columns.Columns * 7];
        columns.CopyTo(values);
        return values;
    }

    private static double[] Doubles(ModelFile file, string name, long[] shape)
    {
        if (!file.TryGetTensor(name, out var tensor) || !tensor.Shape.SequenceEqual(shape)) throw new ModelFileException(file.Path, $"tensor '{name}' is missing or not [{string.Join(", ", shape)}]");
        var values = new double[tensor.ElementCount];
        if (tensor.Type is not (TensorType.F64 or TensorType.I64)) throw new ModelFileException(file.Path, $"tensor '{name}' is {tensor.Type}");
        tensor.ReadRows(0, (int)tensor.RowCount, values);
        return values;
    }

    private static TensorToWrite F64(string name, long[] shape, double[] values) => new(name, TensorType.F64, [.. shape], stream => stream.Write(MemoryMarshal.AsBytes<double>(values)));

    private static TensorToWrite I64(string name, long[] shape, long[] values) => new(name, TensorType.I64, [.. shape], stream => stream.Write(MemoryMarshal.AsBytes<long>(values)));
}
