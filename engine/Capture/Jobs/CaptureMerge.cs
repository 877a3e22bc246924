using System.Text.Json;
using Tare.Capture.Statistics;
using Tare.Formats;

namespace Tare.Capture.Jobs;

/// <summary>Merges the chunks of capture folders into one statistics file.</summary>
public static class CaptureMerge
{
    /// <summary>
    /// Merges folders of one capture. Throws <see cref="ModelFileException"/> where folders belong to different captures, a chunk occurs twice, a file was changed, or (unless <paramref name="partial"/>) a chunk is missing.
    /// </summary>
    public static void Run(IReadOnlyList<string> folders, string output, bool partial = false)
    {
        var (sites, metadata) = Read(folders, partial);
        StatisticsFile.Write(output, sites, metadata);
    }

    /// <summary>The merged statistics and what a file says about them.</summary>
    public static (IReadOnlyList<SiteStatistics> Sites, Dictionary<string, string> Metadata) Read(IReadOnlyList<string> folders, bool partial = false)
    {
        var chunks = new Dictionary<long, (string Folder, CaptureChunk Chunk)>();
        CaptureManifest? first = null;
        foreach (string folder in folders)
        {
            var manifest = CaptureManifest.Find(folder) ?? throw new ModelFileException(folder, File.Exists(folder) ? "is a file; merge takes folders that tare capture wrote, and merged files can't be merged again" : $"has no {CaptureManifest.FileName}");
            if (manifest.Identity.Kind != "statistics") throw new ModelFileException(folder, $"holds {manifest.Identity.Kind}, which are not merged; they are read chunk by chunk");
            first ??= manifest;
            if (CaptureManifest.Difference(first.Identity, manifest.Identity) is { } difference) throw new ModelFileException(folder, $"belongs to another capture than {folders[0]} ({difference})");
            foreach (var chunk in manifest.Chunks)
                if (!chunks.TryAdd(chunk.Id, (folder, chunk))) throw new ModelFileException(folder, $"chunk {chunk.Id} is also in {chunks[chunk.Id].Folder}; nothing may be counted twice");
        }
        if (first is null || chunks.Count == 0) throw new ArgumentException("there is nothing to merge");
        long count = (first.Identity.Rows + first.Identity.ChunkRows - 1) / first.Identity.ChunkRows;
        if (!partial && chunks.Count < count)
        {
            long missing = Enumerable.Range(0, (int)count).First(i => !chunks.ContainsKey(i));
            throw new ModelFileException(folders[0], $"{count - chunks.Count} of {count} chunks are missing, the first is chunk {missing}; finish the other shards, or merge what is there with --partial");
        }
        var sites = PairwiseMerge.Run(count, id => chunks.TryGetValue(id, out var chunk) ? ReadChunk(chunk.Folder, chunk.Chunk) : null)!;
        return (sites, new()
        {
            ["tare.capture"] = JsonSerializer.Serialize(first.Identity, CaptureManifest.Json),
            ["tare.model"] = first.Model,
            ["tare.input"] = first.Input,
            ["tare.device"] = first.Device,
            ["tare.coordinates"] = first.Identity.Coordinates,
            ["tare.parents"] = JsonSerializer.Serialize(chunks.OrderBy(c => c.Key).Select(c => new { id = c.Key, sha256 = c.Value.Chunk.Sha256 })),
            ["tare.rows"] = $"{chunks.Values.Sum(c => c.Chunk.Rows)}",
        });
    }

    private static SiteStatistics[] ReadChunk(string folder, CaptureChunk chunk)
    {
        string path = Path.Combine(folder, chunk.File);
        if (!File.Exists(path) || CaptureManifest.HashFile(path) != chunk.Sha256) throw new ModelFileException(path, "is missing or not what the manifest lists (SHA-256)");
        return [.. StatisticsFile.Read(path).Sites];
    }
}
