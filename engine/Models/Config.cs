using System.Text.Json;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Graphs;

namespace Tare.Models;

/// <summary>
/// The numbers of a model, read by their Hugging Face name from config.json or by their GGUF name (with the architecture's prefix). A null name means that the format has no such key.
/// </summary>
internal sealed class Config
{
    private readonly GgufMetadata? _gguf;
    private readonly JsonElement _json;
    private readonly string _path, _prefix;

    private Config(string path, GgufMetadata? gguf, JsonElement json)
    {
        (_path, _gguf, _json) = (path, gguf, json);
        _prefix = gguf?.FindString("general.architecture") + ".";
    }

    public static Config Of(ModelFile model) => model switch
    {
        GgufFile gguf => new Config(gguf.Path, gguf.Metadata, default),
        CheckpointFolder { Config: JsonElement json } => new Config(model.Path, null, json),
        _ => throw new ModelFileException(model.Path, "has no config.json, so its architecture is not known"),
    };

    /// <summary>True for GGUF, whose converters rename, permute and fold.</summary>
    public bool IsGguf => _gguf is not null;

    public string HuggingFaceClass()
    {
        if (_json.TryGetProperty("architectures", out var names) && names.ValueKind == JsonValueKind.Array && names.GetArrayLength() > 0 && names[0].ValueKind == JsonValueKind.String) return names[0].GetString()!;
        throw Error("architectures", "is missing or names nothing");
    }

    public ModelFileException Error(string key, string problem) => new(_path, $"{key}: {problem}");

    public int? FindInt(string? huggingFace, string? gguf = null)
    {
        if (IsGguf) return gguf is null ? null : Checked(_prefix + gguf, _gguf!.FindInteger(_prefix + gguf));
        if (Json(huggingFace) is not JsonElement value) return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) ? Checked(huggingFace!, number) : throw Error(huggingFace!, $"{Show(value)} is not an integer");
    }

    public int Int(string? huggingFace, string? gguf = null) => FindInt(huggingFace, gguf) ?? throw Error((IsGguf ? gguf is null ? huggingFace : _prefix + gguf : huggingFace) ?? gguf!, "is missing");

    /// <summary>A size: an integer from 1 to 2^24.</summary>
    public int Size(string? huggingFace, string? gguf = null)
    {
        int value = Int(huggingFace, gguf);
        return value is >= 1 and <= 1 << 24 ? value : throw Error((IsGguf ? _prefix + gguf : huggingFace)!, $"{value} is not between 1 and 2^24");
    }

    public double? FindFloat(string? huggingFace, string? gguf = null)
    {
        if (IsGguf) return gguf is null ? null : Finite(_prefix + gguf, _gguf!.FindNumber(_prefix + gguf));
        if (Json(huggingFace) is not JsonElement value) return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) ? Finite(huggingFace!, number) : throw Error(huggingFace!, $"{Show(value)} is not a number");
    }

    public double Float(string? huggingFace, string? gguf = null) => FindFloat(huggingFace, gguf) ?? throw Error((IsGguf ? _prefix + gguf : huggingFace)!, "is missing");

    public bool? FindBool(string? huggingFace, string? gguf = null)
    {
        if (IsGguf) return gguf is null ? null : _gguf!.FindBool(_prefix + gguf);
        if (Json(huggingFace) is not JsonElement value) return null;
        return value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw Error(huggingFace!, $"{Show(value)} is not a bool"),
        };
    }

    public bool Bool(string huggingFace, bool otherwise) => FindBool(huggingFace) ?? otherwise;

    public string? FindString(string? huggingFace, string? gguf = null)
    {
        if (IsGguf) return gguf is null ? null : _gguf!.FindString(_prefix + gguf);
        if (Json(huggingFace) is not JsonElement value) return null;
        return value.ValueKind == JsonValueKind.String ? value.GetString() : throw Error(huggingFace!, $"{Show(value)} is not a string");
    }

    /// <summary>An activation by its Hugging Face name; GGUF names none, so the architecture says what its files mean.</summary>
    public ActivationKind Activation(string huggingFace, ActivationKind gguf, string? otherwise = null) => IsGguf ? gguf : (FindString(huggingFace) ?? otherwise) switch
    {
        "relu" => ActivationKind.Relu,
        "relu2" => ActivationKind.ReluSquared,
        "silu" or "swish" => ActivationKind.Silu,
        "gelu" => ActivationKind.GeluErf,
        "gelu_new" or "gelu_pytorch_tanh" or "gelu_fast" => ActivationKind.GeluTanh,
        "quick_gelu" => ActivationKind.GeluQuick,
        "sigmoid" => ActivationKind.Sigmoid,
        "tanh" => ActivationKind.Tanh,
        null => throw Error(huggingFace, "is missing"),
        var other => throw Error(huggingFace, $"activation '{other}' is not known"),
    };

    /// <summary>An object within config.json, such as rope_scaling; null where it is absent or null.</summary>
    public Config? Section(string huggingFace)
    {
        if (IsGguf || Json(huggingFace) is not JsonElement value) return null;
        return value.ValueKind == JsonValueKind.Object ? new Config(_path, null, value) : throw Error(huggingFace, $"{Show(value)} is not an object");
    }

    /// <summary>A JSON document: an object of config.json, or text of GGUF's metadata; null where it is absent.</summary>
    public JsonElement? FindDocument(string huggingFace, string gguf)
    {
        if (!IsGguf) return Json(huggingFace);
        if (FindString(null, gguf) is not string text) return null;
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw Error(_prefix + gguf, $"is not JSON ({e.Message})");
        }
    }

    /// <summary>Whether each layer is windowed, from <c>layer_types</c> (Transformers 5), or null where that is absent; one entry a layer, full or sliding.</summary>
    public bool[]? WindowedLayers(int layers)
    {
        if (FindStrings("layer_types") is not string[] kinds) return null;
        if (kinds.Length != layers) throw Error("layer_types", $"{kinds.Length} entries for {layers} layers");
        return [.. kinds.Select(k => k switch { "sliding_attention" => true, "full_attention" => false, _ => throw Error("layer_types", $"'{k}' is not known (known: full_attention, sliding_attention)") })];
    }

    /// <summary>
    /// Whether each layer is windowed: <c>layer_types</c>, GGUF's list of bools, or – where neither is there – all but every <paramref name="period"/>-th layer (0 = none).
    /// </summary>
    public bool[] WindowedLayers(int layers, int period)
    {
        if (WindowedLayers(layers) is { } listed) return listed;
        if (IsGguf && _gguf!.TryGet(_prefix + "attention.sliding_window_pattern", out _, out object? value) && value is GgufArray { Items: bool[] flags })
            return flags.Length == layers ? flags : throw Error(_prefix + "attention.sliding_window_pattern", $"{flags.Length} entries for {layers} layers");
        return [.. Enumerable.Range(0, layers).Select(i => period > 0 && (i + 1) % period != 0)];
    }

    /// <summary>An array of integers of config.json, or null.</summary>
    public int[]? FindInts(string huggingFace)
    {
        if (IsGguf || Json(huggingFace) is not JsonElement value) return null;
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(v => v.ValueKind != JsonValueKind.Number || !v.TryGetInt32(out _))) throw Error(huggingFace, "is not an array of integers");
        return [.. value.EnumerateArray().Select(v => v.GetInt32())];
    }

    /// <summary>An array of numbers of config.json, or null.</summary>
    public double[]? FindFloats(string huggingFace)
    {
        if (IsGguf || Json(huggingFace) is not JsonElement value) return null;
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(v => v.ValueKind != JsonValueKind.Number || !double.IsFinite(v.GetDouble()))) throw Error(huggingFace, "is not an array of numbers");
        return [.. value.EnumerateArray().Select(v => v.GetDouble())];
    }

    /// <summary>An array of strings of config.json, or null.</summary>
    public string[]? FindStrings(string huggingFace)
    {
        if (IsGguf || Json(huggingFace) is not JsonElement value) return null;
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(v => v.ValueKind != JsonValueKind.String)) throw Error(huggingFace, "is not an array of strings");
        return [.. value.EnumerateArray().Select(v => v.GetString()!)];
    }

    private JsonElement? Json(string? key) => key is not null && _json.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private int? Checked(string key, long? value) => value is null ? null : value is >= int.MinValue and <= int.MaxValue ? (int)value : throw Error(key, $"{value} is too large");

    private double? Finite(string key, double? value) => value is null || double.IsFinite(value.Value) ? value : throw Error(key, $"{value} is not finite");

    private static string Show(JsonElement value) => value.GetRawText() is { Length: <= 60 } text ? text : value.ValueKind.ToString();
}
