using System.Security.Cryptography;
using System.Text;
using Tare.Capture.Editing;
using Tare.Capture.Running;
using Tare.Capture.Statistics;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Capture.Jobs;

/// <summary>What a job does beside <see cref="CaptureSpec"/>.</summary>
public sealed record CaptureJobOptions
{
    /// <summary>The folder that chunks and manifest are written to.</summary>
    public required string Folder { get; init; }

    /// <summary>This part of <see cref="Shards"/>, from 0.</summary>
    public int Shard { get; init; }

    /// <summary>Parts that the chunks are dealt out to, consecutive ones to each.</summary>
    public int Shards { get; init; } = 1;

    /// <summary>Longest sequence.</summary>
    public int Context { get; init; } = 512;

    /// <summary>Tokens to generate behind each sequence (greedy; ends are ignored, so that rows can be numbered beforehand).</summary>
    public int Generate { get; init; }

    /// <summary>Element type of rows: F32 or BF16.</summary>
    public TensorType Type { get; init; } = TensorType.F32;

    /// <summary>What the input is called in the manifest.</summary>
    public string InputName { get; init; } = "";

    /// <summary>Coordinates that the values are in: <c>raw</c>, or the name of a rewrite.</summary>
    public string Coordinates { get; init; } = "raw";

    /// <summary>What the precision of the graph is called in the manifest.</summary>
    public string Precision { get; init; } = "exact";

    /// <summary>Edits of all sequences, with the graph that applies them; null = none.</summary>
    public (EditedGraph Graph, StepEdits Edits)? Edits { get; init; }
}

/// <summary>
/// Captures many sequences into a folder, chunk by chunk: 4,096 consecutive rows each. A chunk is a file that appears when it is whole, so a job that was stopped goes on where it stopped, and shards on other machines write
/// the bits that one machine would have written.
/// </summary>
public static class CaptureJob
{
    /// <summary>Runs the chunks of this shard that are not finished. Returns the manifest. Throws <see cref="ModelFileException"/> where the folder holds another capture.</summary>
    public static CaptureManifest Run(ModelFile model, IBackend backend, Graph graph, CaptureSpec spec, IReadOnlyList<CaptureSequence> sequences, CaptureJobOptions options, IProgress<(long Done, long Total)>? progress = null, CancellationToken cancel = default)
    {
        bool statistics = spec.Statistics is not null;
        if (statistics == spec.Rows is not null) throw new ArgumentException("a job takes statistics or rows");
        var capture = spec.Apply(graph, SiteMap.Of(graph), options.Edits?.Graph);
        long rows = sequences[^1].FirstRow + sequences[^1].Tokens.Length + options.Generate, chunks = (rows + PairwiseMerge.ChunkRows - 1) / PairwiseMerge.ChunkRows;
        var identity = new CaptureIdentity(statistics ? "statistics" : "rows", HashModel(model), options.Coordinates, options.Precision, CacheTypesOf(graph), Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(GraphDump.ToText(graph)))), CaptureInput.Hash(sequences), sequences.Count, rows,
            PairwiseMerge.ChunkRows, spec.Statistics ?? spec.Rows!, spec.Channels, options.Type.ToString(), options.Context, options.Generate, options.Edits is { } edits ? $"{edits.Edits.Entry.Key:x32}" : "");
        var manifest = Resume(options, new CaptureManifest(CaptureManifest.CurrentSchema, identity, Path.GetFileName(model.Path.TrimEnd(Path.DirectorySeparatorChar)), options.InputName, backend.Device.Backend, options.Shard, options.Shards, []));

        long first = chunks * options.Shard / options.Shards, end = chunks * (options.Shard + 1) / options.Shards;
        var finished = manifest.Chunks.Select(c => c.Id).ToHashSet();
        long remaining = Enumerable.Range(0, (int)(end - first)).Count(i => !finished.Contains(first + i));
        if (remaining == 0) return manifest;
        using var weights = backend.CreateWeightStore();
        using var runner = new CaptureRunner(backend, weights, capture, Math.Max(options.Context, sequences.Max(s => s.Tokens.Length + options.Generate)), cancel: cancel, edits: options.Edits?.Edits);
        long written = 0;
        ICaptureSink sink = statistics
            ? new StatisticsSink(capture, (id, sites) => Save(id, path => StatisticsFile.Write(path, sites, Metadata(id))))
            : new RowsSink(capture, PairwiseMerge.ChunkRows, (id, sink) => Save(id, path => sink.WriteFile(path, options.Type, Metadata(id))));
        runner.Run(sequences, sink, options.Generate, row => row / PairwiseMerge.ChunkRows is var id && id >= first && id < end && !finished.Contains(id), null, cancel);
        return manifest;

        void Save(long id, Action<string> write)
        {
            string name = $"chunk-{id:d6}.safetensors", path = Path.Combine(options.Folder, name);
            write(path);
            long start = id * PairwiseMerge.ChunkRows;
            manifest = manifest with { Chunks = [.. manifest.Chunks.Append(new CaptureChunk(id, start, Math.Min(PairwiseMerge.ChunkRows, rows - start), name, CaptureManifest.HashFile(path))).OrderBy(c => c.Id)] };
            manifest.Write(options.Folder);
            progress?.Report((++written, remaining));
        }

        Dictionary<string, string> Metadata(long id) => new() { ["tare.chunk"] = $"{id}", ["tare.model"] = manifest.Model, ["tare.model_sha256"] = identity.ModelSha256, ["tare.coordinates"] = identity.Coordinates };
    }

    /// <summary>Hash of the files that hold a model's tensors.</summary>
    public static string HashModel(ModelFile model)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[1 << 20];
        foreach (string path in model.Tensors.Select(t => t.File).Distinct())
        {
            using var stream = File.OpenRead(path);
            for (int read; (read = stream.Read(buffer)) > 0;) hash.AppendData(buffer, 0, read);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static string CacheTypesOf(Graph graph) => string.Join(", ", graph.Ops.OfType<KvAppend>().Select(a => $"{a.KeyType}/{(a.ValueWidth == 0 ? a.KeyType : a.ValueType)}").Distinct().DefaultIfEmpty("none"));

    // What a manifest lists and the folder still holds unharmed is finished.
    private static CaptureManifest Resume(CaptureJobOptions options, CaptureManifest fresh)
    {
        if (options.Shards < 1 || options.Shard < 0 || options.Shard >= options.Shards) throw new ArgumentException($"shard {options.Shard}/{options.Shards}: give 0/n … (n−1)/n");
        Directory.CreateDirectory(options.Folder);
        var old = CaptureManifest.Find(options.Folder);
        if (old is null)
        {
            fresh.Write(options.Folder);
            return fresh;
        }
        if (CaptureManifest.Difference(old.Identity, fresh.Identity) is { } difference) throw new ModelFileException(options.Folder, $"holds another capture ({difference}); choose another folder");
        if ((old.Shard, old.Shards) != (options.Shard, options.Shards)) throw new ModelFileException(options.Folder, $"holds shard {old.Shard}/{old.Shards}, not {options.Shard}/{options.Shards}; choose a folder for each shard");
        return old with { Chunks = [.. old.Chunks.Where(c => File.Exists(Path.Combine(options.Folder, c.File)) && CaptureManifest.HashFile(Path.Combine(options.Folder, c.File)) == c.Sha256)] };
    }
}
