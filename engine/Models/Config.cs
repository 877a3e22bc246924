using System.Text.Json;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Graphs;

namespace Tare.Models;

/// <summary>
/// The numbers of a model, read by their Hugging Face name from config.json or by their GGUF name (with the architecture's prefix). A null name means that the format has no such key.
/// </summary>
internal sealed partial class Config
{
    // Transformers takes the general name for the special one and the other way round (attribute_map).
    private static readonly ILookup<string, string> Synonyms = new[]
    {
        ("n_embd", "hidden_size"), ("d_model", "hidden_size"), ("n_head", "num_attention_heads"), ("n_heads", "num_attention_heads"), ("n_layer", "num_hidden_layers"), ("n_layers", "num_hidden_layers"),
        ("n_positions", "max_position_embeddings"),
    }.SelectMany(p => new[] { p, (p.Item2, p.Item1) }).ToLookup(p => p.Item1, p => p.Item2, StringComparer.Ordinal);

    private readonly GgufMetadata? _gguf;
    private readonly JsonElement _json;
    private readonly string _path, _prefix;
    private readonly GgufRecord? _record;

    private Config(string path, GgufMetadata? gguf, JsonElement json, GgufRecord? record = null)
    {
        (_path, _gguf, _json, _record) = (path, gguf, json, record);
        _prefix = gguf?.FindString("general.architecture") + ".";
    }

    /// <summary>The numbers of a model; what a checkpoint says under a name that GGUF knows too is also written into <paramref name="record"/>.</summary>
    public static Config Of(ModelFile model, GgufRecord? record = null) => model switch
    {
        GgufFile gguf => new Config(gguf.Path, gguf.Metadata, default),
        CheckpointFolder { Config: JsonElement json } => new Config(model.Path, null, json, record),
        _ => throw new ModelFileException(model.Path, "has no config.json, so its architecture is not known"),
    };

    /// <summary>True for GGUF, whose converters rename, permute and fold.</summary>
    public bool IsGguf => _gguf is not null;

    /// <summary>GGUF's <c>general.architecture</c>, or the Hugging Face class.</summary>
    public string Architecture => IsGguf ? _prefix[..^1] : HuggingFaceClass();

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
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt64(out long number)) throw Error(huggingFace!, $"{Show(value)} is not an integer");
        int checkedNumber = Checked(huggingFace!, number)!.Value;
        if (gguf is not null) Record(gguf, checkedNumber);
        return checkedNumber;
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
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out double number)) throw Error(huggingFace!, $"{Show(value)} is not a number");
        _ = Finite(huggingFace!, number);
        if (gguf is not null) Record(gguf, number);
        return number;
    }

    public double Float(string? huggingFace, string? gguf = null) => FindFloat(huggingFace, gguf) ?? throw Error((IsGguf ? _prefix + gguf : huggingFace)!, "is missing");

    public bool? FindBool(string? huggingFace, string? gguf = null)
    {
        if (IsGguf) return gguf is null ? null : _gguf!.FindBool(_prefix + gguf);
        if (Json(huggingFace) is not JsonElement value) return null;
        if (value.ValueKind is not (JsonValueKind.True or JsonValueKind.False)) throw Error(huggingFace!, $"{Show(value)} is not a bool");
        bool flag = value.ValueKind == JsonValueKind.True;
        if (gguf is not null) Record(gguf, flag);
        return flag;
    }

    public bool Bool(string huggingFace, bool otherwise) => FindBool(huggingFace) ?? otherwise;

    public string? FindString(string? huggingFace, string? gguf = null)
    {
        if (IsGguf) return gguf is null ? null : _gguf!.FindString(_prefix + gguf);
        if (Json(huggingFace) is not JsonElement value) return null;
        return value.ValueKind == JsonValueKind.String ? value.GetString() : throw Error(huggingFace!, $"{Show(value)} is not a string");
    }

    /// <summary>The rotary pairs of both formats; where they differ, a GGUF file holds the rows of q and k in another order.</summary>
    public RopePairing Pairing(RopePairing huggingFace, RopePairing gguf)
    {
        _record?.ReorderPairs(huggingFace, gguf);
        return IsGguf ? gguf : huggingFace;
    }

    /// <summary>Says what a GGUF file holds under a key (without the architecture's prefix): a number, a bool, a string or an array of bools. Only a converter listens.</summary>
    public void Record(string gguf, object value) => _record?.Set(gguf, value);

    /// <summary>Says that a GGUF file holds a small table that a checkpoint keeps in its configuration.</summary>
    public void RecordTable(string gguf, IEnumerable<double> values) => _record?.AddTable(gguf, values);

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

    private JsonElement? Json(string? key)
    {
        if (key is null || IsGguf) return null;
        foreach (string name in Synonyms[key].Prepend(key))
            if (_json.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null) return value;
        return null;
    }

    private int? Checked(string key, long? value) => value is null ? null : value is >= int.MinValue and <= int.MaxValue ? (int)value : throw Error(key, $"{value} is too large");

    private double? Finite(string key, double? value) => value is null || double.IsFinite(value.Value) ? value : throw Error(key, $"{value} is not finite");

    private static string Show(JsonElement value) => value.GetRawText() is { Length: <= 60 } text ? text : value.ValueKind.ToString();
}
