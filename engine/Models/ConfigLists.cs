using System.Text.Json;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Graphs;

namespace Tare.Models;

// Values that are lists: one entry a layer, an expert, a frequency.
internal sealed partial class Config
{
    /// <summary>Whether each layer is windowed, from <c>layer_types</c> (Transformers 5), or null where that is absent; one entry a layer, full or sliding.</summary>
    public bool[]? WindowedLayers(int layers)
    {
        if (FindStrings("layer_types") is not string[] kinds) return null;
        if (kinds.Length != layers) throw Error("layer_types", $"{kinds.Length} entries for {layers} layers");
        return [.. kinds.Select(k => k switch { "sliding_attention" => true, "full_attention" => false, _ => throw Error("layer_types", $"'{k}' is not known (known: full_attention, sliding_attention)") })];
    }

    /// <summary>
    /// Whether each layer is windowed: <c>layer_types</c>, GGUF's list of bools, config.json's <c>sliding_window_pattern</c> (a number, or letters such as LLLG with L = windowed), or – where none is there – all
    /// but every <paramref name="period"/>-th layer (0 = none).
    /// </summary>
    public bool[] WindowedLayers(int layers, int period)
    {
        if (WindowedLayers(layers) is { } listed)
        {
            Record("attention.sliding_window_pattern", listed);
            return listed;
        }
        if (IsGguf && _gguf!.TryGet(_prefix + "attention.sliding_window_pattern", out _, out object? value) && value is GgufArray { Items: bool[] flags })
            return flags.Length == layers ? flags : throw Error(_prefix + "attention.sliding_window_pattern", $"{flags.Length} entries for {layers} layers");
        if (Json("sliding_window_pattern") is { ValueKind: JsonValueKind.String } letters && letters.GetString() is { Length: > 0 } cycle)
            return Recorded([.. Enumerable.Range(0, layers).Select(i => cycle[i % cycle.Length] == 'L')]);
        period = FindInt("sliding_window_pattern", "attention.sliding_window_pattern") ?? period;
        return Recorded([.. Enumerable.Range(0, layers).Select(i => period > 0 && (i + 1) % period != 0)]);

        bool[] Recorded(bool[] windowed)
        {
            Record("attention.sliding_window_pattern", windowed);
            return windowed;
        }
    }

    /// <summary>Sizes of each layer: an array, or one integer for all; 1 to 2^24 each.</summary>
    public int[] Sizes(string huggingFace, string gguf, int layers)
    {
        string key = IsGguf ? _prefix + gguf : huggingFace;
        int[]? listed = IsGguf ? _gguf!.TryGet(key, out var type, out _) && type == GgufValueType.Array ? [.. _gguf.FindIntegers(key)!.Select(v => Checked(key, v)!.Value)] : null
            : Json(huggingFace) is { ValueKind: JsonValueKind.Array } ? FindInts(huggingFace) : null;
        listed ??= [.. Enumerable.Repeat(Size(huggingFace, gguf), layers)];
        if (listed.Length != layers) throw Error(key, $"{listed.Length} entries for {layers} layers");
        return Array.TrueForAll(listed, v => v is >= 1 and <= 1 << 24) ? listed : throw Error(key, "an entry is not between 1 and 2^24");
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
}
