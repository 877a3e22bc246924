using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Tare.Formats;

namespace Tare.Capture.Jobs;

/// <summary>What a capture was taken of; shards and resumed runs must agree in all of it.</summary>
/// <param name="Kind"><c>statistics</c> or <c>rows</c>.</param>
/// <param name="ModelSha256">Of the files that hold the tensors, one behind the other.</param>
/// <param name="Coordinates"><c>raw</c>, or the rewrite that the values belong to (<c>norm:rms</c>).</param>
/// <param name="Precision">Name of the precision.</param>
/// <param name="CacheTypes">Element types of cached keys and values, as <c>F32/F32</c>; <c>none</c> without caches.</param>
/// <param name="GraphSha256">Of the graph that ran (configuration, rewrites, precision) as text.</param>
/// <param name="TokensSha256">Of all sequences.</param>
/// <param name="Sequences">Their number.</param>
/// <param name="Rows">Rows of all sequences, generated ones included.</param>
/// <param name="ChunkRows">Rows of a chunk.</param>
/// <param name="Sites">The selector.</param>
/// <param name="Channels">Whether channels are counted one by one.</param>
/// <param name="Type">Element type of rows.</param>
/// <param name="Context">Longest sequence.</param>
/// <param name="Generate">Tokens generated behind each sequence.</param>
/// <param name="Edits">Hash of the edits that the rows went through; empty without.</param>
public sealed record CaptureIdentity(string Kind, string ModelSha256, string Coordinates, string Precision, string CacheTypes, string GraphSha256, string TokensSha256, long Sequences, long Rows, int ChunkRows, string Sites, bool Channels, string Type, int Context, int Generate, string Edits = "");

/// <summary>A finished chunk.</summary>
public sealed record CaptureChunk(long Id, long FirstRow, long Rows, string File, string Sha256);

/// <summary><c>manifest.json</c> of a capture folder: identity, where it came from, finished chunks.</summary>
public sealed record CaptureManifest(string Schema, CaptureIdentity Identity, string Model, string Input, string Device, int Shard, int Shards, IReadOnlyList<CaptureChunk> Chunks)
{
    /// <summary>Name and version of the form.</summary>
    public const string CurrentSchema = "tare-capture/2";

    /// <summary>Name of the file in its folder.</summary>
    public const string FileName = "manifest.json";

    internal static JsonSerializerOptions Json { get; } = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true, UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip };

    /// <summary>Writes it, whole or not at all.</summary>
    public void Write(string folder) => AtomicFile.Write(Path.Combine(folder, FileName), stream => JsonSerializer.Serialize(stream, this, Json));

    /// <summary>Reads the manifest of a folder, or null where there is none. Throws <see cref="ModelFileException"/> for a damaged one.</summary>
    public static CaptureManifest? Find(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return null;
        try
        {
            using var stream = File.OpenRead(path);
            var manifest = JsonSerializer.Deserialize<CaptureManifest>(stream, Json) ?? throw new JsonException("it is null");
            if (manifest.Schema != CurrentSchema) throw new ModelFileException(path, $"schema '{manifest.Schema}' is not {CurrentSchema}");
            foreach (var chunk in manifest.Chunks)
                if (chunk.File != Path.GetFileName(chunk.File) || chunk.Id < 0 || chunk.Rows < 1) throw new ModelFileException(path, $"chunk {chunk.Id}: file '{chunk.File}' or rows {chunk.Rows} can't be");
            return manifest;
        }
        catch (JsonException e)
        {
            throw new ModelFileException(path, $"is no manifest ({e.Message})", e);
        }
    }

    /// <summary>The first difference of two identities in words, or null.</summary>
    public static string? Difference(CaptureIdentity a, CaptureIdentity b)
    {
        foreach (var property in typeof(CaptureIdentity).GetProperties())
            if (property.Name != "EqualityContract" && !Equals(property.GetValue(a), property.GetValue(b)))
                return $"{JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name)} is {property.GetValue(a)} there, {property.GetValue(b)} here";
        return null;
    }

    internal static string HashFile(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
