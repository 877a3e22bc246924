using System.Text.Json;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Graphs.Ops;

namespace Tare.Models;

/// <summary>How the last hidden states of a text become one vector.</summary>
/// <param name="Pooling">Which rows count.</param>
/// <param name="Normalize">Whether the vector is divided by its L2 norm.</param>
public sealed record EmbeddingRecipe(PoolKind Pooling, bool Normalize)
{
    /// <summary>
    /// As the model says: GGUF's <c>pooling_type</c>; the <c>modules.json</c> of a sentence-transformers folder with the configuration of its pooling, normalized where it lists a Normalize module. Else the mean,
    /// normalized. What this version does not know is refused by name.
    /// </summary>
    public static EmbeddingRecipe Of(ModelFile file) => file switch
    {
        GgufFile gguf => new(OfType(gguf), true),
        CheckpointFolder folder when File.Exists(Path.Combine(folder.Folder, "modules.json")) => OfModules(folder),
        _ => new(PoolKind.Mean, true),
    };

    private static PoolKind OfType(GgufFile file)
    {
        string key = $"{file.Metadata.FindString("general.architecture")}.pooling_type";
        return file.Metadata.FindInteger(key) switch
        {
            null or 0 or 1 => PoolKind.Mean,
            2 => PoolKind.First,
            3 => PoolKind.Last,
            var other => throw file.Metadata.Error(key, $"{other} is not known (known: 1 mean, 2 cls, 3 last)"),
        };
    }

    private static EmbeddingRecipe OfModules(CheckpointFolder folder)
    {
        string list = Path.Combine(folder.Folder, "modules.json");
        var (pooling, normalize) = (PoolKind.Mean, false);
        var root = Parse(list);
        if (root.ValueKind != JsonValueKind.Array) throw new ModelFileException(list, "is not an array");
        foreach (var module in root.EnumerateArray())
        {
            string type = Text(list, module, "type");
            switch (type[(type.LastIndexOf('.') + 1)..])
            {
                case "Transformer": break;
                case "Normalize": normalize = true; break;
                case "Pooling":
                    string path = Text(list, module, "path");
                    if (path.Length == 0 || path != Path.GetFileName(path) || path is "." or "..") throw new ModelFileException(list, $"path '{path}' is not a plain folder name");
                    pooling = OfPooling(Path.Combine(folder.Folder, path, "config.json"));
                    break;
                default: throw new ModelFileException(list, $"module '{type}' is not known (known: Transformer, Pooling, Normalize)");
            }
        }
        return new(pooling, normalize);
    }

    private static PoolKind OfPooling(string path)
    {
        var root = Parse(path);
        if (root.ValueKind != JsonValueKind.Object) throw new ModelFileException(path, "is not an object");
        string[] modes = root.TryGetProperty("pooling_mode", out var named) && named.ValueKind == JsonValueKind.String ? [named.GetString()!]
            : [.. root.EnumerateObject().Where(p => p.Name.StartsWith("pooling_mode_", StringComparison.Ordinal) && p.Value.ValueKind == JsonValueKind.True).Select(p => p.Name["pooling_mode_".Length..])];
        return modes switch
        {
            ["mean" or "mean_tokens"] or [] => PoolKind.Mean,
            ["cls" or "cls_token"] => PoolKind.First,
            ["lasttoken"] => PoolKind.Last,
            _ => throw new ModelFileException(path, $"pooling '{string.Join(" + ", modes)}' is not known (known: mean_tokens, cls_token, lasttoken)"),
        };
    }

    private static string Text(string path, JsonElement module, string key)
        => module.ValueKind == JsonValueKind.Object && module.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new ModelFileException(path, $"a module has no {key}");

    private static JsonElement Parse(string path)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            return document.RootElement.Clone();
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new ModelFileException(path, $"can't be read ({e.Message})", e);
        }
    }
}
