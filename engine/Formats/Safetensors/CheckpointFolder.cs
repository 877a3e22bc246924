using System.Text.Json;

namespace Tare.Formats.Safetensors;

/// <summary>A Hugging Face checkpoint: config.json, tokenizer files, and tensors in model.safetensors or in the shards of model.safetensors.index.json. A single .safetensors file brings what lies beside it.</summary>
public sealed class CheckpointFolder : ModelFile
{
    private const long MaximumJson = 256L << 20;

    private CheckpointFolder(string path, string folder, string configName) : base(path)
    {
        Folder = folder;
        Config = ReadJson(configName);
        TokenizerConfig = ReadJson("tokenizer_config.json");
        GenerationConfig = ReadJson("generation_config.json");
        TokenizerPath = Existing("tokenizer.json");
        ChatTemplatePath = Existing("chat_template.jinja");
    }

    /// <summary>The folder of the checkpoint.</summary>
    public string Folder { get; }

    /// <summary>config.json, or null.</summary>
    public JsonElement? Config { get; }

    /// <summary>tokenizer_config.json, or null.</summary>
    public JsonElement? TokenizerConfig { get; }

    /// <summary>generation_config.json, or null.</summary>
    public JsonElement? GenerationConfig { get; }

    /// <summary>tokenizer.json, or null.</summary>
    public string? TokenizerPath { get; }

    /// <summary>chat_template.jinja, or null.</summary>
    public string? ChatTemplatePath { get; }

    /// <summary>The free-form metadata of the safetensors files.</summary>
    public Dictionary<string, string> FileMetadata { get; } = new(StringComparer.Ordinal);

    internal static CheckpointFolder OpenFolder(string folder, OpenOptions options) => Guard(new CheckpointFolder(folder, folder, options.ConfigName), model =>
    {
        string whole = System.IO.Path.Combine(folder, "model.safetensors"), index = whole + ".index.json";
        if (File.Exists(whole)) model.AddFile(MappedFile.Open(whole, options.Map));
        else if (File.Exists(index)) model.AddShards(index, options);
        else throw new ModelFileException(folder, "holds neither model.safetensors nor model.safetensors.index.json");
    });

    internal static CheckpointFolder OpenFile(string path, OpenOptions options)
        => Guard(new CheckpointFolder(path, System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!, options.ConfigName), model => model.AddFile(MappedFile.Open(path, options.Map)));

    internal static CheckpointFolder FromBytes(string path, byte[] bytes) => Guard(new CheckpointFolder(path, path, "config.json"), model => model.AddFile(MappedFile.FromBytes(path, bytes)));

    private static CheckpointFolder Guard(CheckpointFolder model, Action<CheckpointFolder> load)
    {
        try
        {
            load(model);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private void AddFile(MappedFile file)
    {
        Own(file);
        foreach (var tensor in SafetensorsReader.Read(file, FileMetadata)) Add(tensor);
    }

    private void AddShards(string index, OpenOptions options)
    {
        if (ReadJson(System.IO.Path.GetFileName(index)) is not { ValueKind: JsonValueKind.Object } root || !root.TryGetProperty("weight_map", out var map) || map.ValueKind != JsonValueKind.Object)
            throw new ModelFileException(index, "has no weight_map");
        var shards = new Dictionary<string, Dictionary<string, MappedTensor>>(StringComparer.Ordinal);
        foreach (var entry in map.EnumerateObject())
        {
            string name = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : throw new ModelFileException(index, $"weight_map.{entry.Name} is not a file name");
            if (name.Length == 0 || name != System.IO.Path.GetFileName(name) || name.Contains('\\') || name is "." or "..") throw new ModelFileException(index, $"weight_map.{entry.Name}: '{name}' is not a plain file name");
            if (!shards.TryGetValue(name, out var shard))
            {
                var file = MappedFile.Open(System.IO.Path.Combine(Folder, name), options.Map);
                Own(file);
                shards.Add(name, shard = SafetensorsReader.Read(file).ToDictionary(t => t.Name, StringComparer.Ordinal));
            }
            if (!shard.Remove(entry.Name, out var tensor)) throw new ModelFileException(index, $"weight_map says that '{entry.Name}' is in {name}, which does not hold it");
            Add(tensor);
        }
        foreach (var (name, left) in shards)
            if (left.Count > 0) throw new ModelFileException(index, $"{name} holds '{left.Keys.First()}', which weight_map does not name there");
    }

    private string? Existing(string name) => File.Exists(System.IO.Path.Combine(Folder, name)) ? System.IO.Path.Combine(Folder, name) : null;

    private JsonElement? ReadJson(string name)
    {
        if (Existing(name) is not string path) return null;
        try
        {
            if (new FileInfo(path).Length > MaximumJson) throw new ModelFileException(path, $"is larger than {MaximumJson} bytes");
            using var document = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { MaxDepth = 64 });
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new ModelFileException(path, "is not a JSON object");
            return document.RootElement.Clone();
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new ModelFileException(path, $"can't be read ({e.Message})", e);
        }
    }
}
