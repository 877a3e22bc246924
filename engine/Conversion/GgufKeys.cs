using System.Collections.Immutable;
using System.Text.Json;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Models;

namespace Tare.Conversion;

/// <summary>The metadata of a converted checkpoint: what its architecture read, and the sizes that other readers of the format want, taken from the graph and the tensors.</summary>
internal static class GgufKeys
{
    /// <summary>Keys of the model, without those of the tokenizer.</summary>
    public static List<(string Key, GgufValueType Type, object Value)> Write(CheckpointFolder folder, string architecture, Graph graph, GgufRecord record)
    {
        var keys = new Dictionary<string, object>(record.Metadata, StringComparer.Ordinal);
        void Derive(string key, object? value)
        {
            if (value is not null) keys.TryAdd(key, value);
        }
        Derive("block_count", graph.Blocks);
        Derive("context_length", ContextLength.Trained(folder) ?? 2048);
        Derive("vocab_size", Rows(record, "token_embd.weight"));
        Derive("embedding_length", Width(record, "token_embd.weight"));
        Derive("feed_forward_length", Width(record, "ffn_down.weight") ?? Number(folder, "intermediate_size") ?? Width(record, "ffn_down_exps.weight"));
        Derive("expert_feed_forward_length", Width(record, "ffn_down_exps.weight"));
        Derive("expert_shared_feed_forward_length", Width(record, "ffn_down_shexp.weight"));
        FromGraph(folder, graph, Derive);
        return
        [
            ("general.architecture", GgufValueType.String, architecture),
            ("general.type", GgufValueType.String, "model"),
            ("general.name", GgufValueType.String, Name(folder)),
            .. keys.Select(k => Typed($"{architecture}.{k.Key}", k.Value)),
            .. Pooling(folder, architecture),
            .. Rows(record, "token_types.weight") is int types ? new[] { Typed("tokenizer.ggml.token_type_count", types) } : [],
        ];
    }

    private static void FromGraph(CheckpointFolder folder, Graph graph, Action<string, object?> derive)
    {
        AttentionSpec[] attention = [.. graph.Nodes.Select(n => n.Op).OfType<Attention>().Select(a => a.Spec).DistinctBy(s => (s.Heads, s.KvHeads, s.KeyWidth, s.ValueWidth, s.Mask))];
        if (attention.Length > 1) throw new ModelFileException(folder.Path, "its layers differ in their attention heads, which can't be written");
        if (attention is [var spec])
        {
            derive("attention.head_count", spec.Heads);
            derive("attention.head_count_kv", spec.KvHeads);
            derive("attention.key_length", spec.KeyWidth);
            derive("attention.value_length", spec.ValueWidth);
            if (spec.Mask == AttentionMask.Bidirectional) derive("attention.causal", false);
        }
        if (graph.Nodes.Select(n => n.Op).OfType<Norm>().FirstOrDefault() is { } norm)
            derive(norm.Spec.Kind == NormKind.LayerNorm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", norm.Spec.Epsilon);
        if (graph.Nodes.Select(n => n.Op).OfType<Rope>().FirstOrDefault() is { } rope) derive("rope.dimension_count", rope.Spec.RotatedWidth);
    }

    private static (string, GgufValueType, object) Typed(string key, object value) => value switch
    {
        int number => (key, GgufValueType.UInt32, (uint)number),
        double number => (key, GgufValueType.Float32, (float)number),
        bool flag => (key, GgufValueType.Bool, flag),
        string text => (key, GgufValueType.String, text),
        bool[] flags => (key, GgufValueType.Array, new GgufArray(GgufValueType.Bool, flags)),
        _ => throw new ArgumentException($"{key}: {value.GetType().Name} is no metadata type"),
    };

    // How sentence-transformers pools: the numbers of llama.cpp's pooling types.
    private static IEnumerable<(string, GgufValueType, object)> Pooling(CheckpointFolder folder, string architecture)
    {
        string path = Path.Combine(folder.Folder, "1_Pooling", "config.json");
        if (!File.Exists(path)) return [];
        using var json = JsonDocument.Parse(File.ReadAllBytes(path));
        bool Is(string mode) => json.RootElement.TryGetProperty($"pooling_mode_{mode}", out var value) && value.ValueKind == JsonValueKind.True;
        int? kind = Is("mean_tokens") ? 1 : Is("cls_token") ? 2 : Is("lasttoken") ? 3 : null;
        return kind is int number ? [Typed($"{architecture}.pooling_type", number)] : [];
    }

    private static string Name(CheckpointFolder folder) => new DirectoryInfo(folder.Folder).Name;

    private static int? Width(GgufRecord record, string suffix) => Find(record, suffix) is { Weight: { } weight } ? weight.Width : null;

    private static int? Rows(GgufRecord record, string suffix) => Find(record, suffix) is { Weight: { } weight } ? (int)weight.Rows : null;

    private static (Graphs.Weights.Weight Weight, ImmutableArray<long> Shape) Find(GgufRecord record, string suffix)
        => record.Tensors.FirstOrDefault(t => t.Key == suffix || t.Key.EndsWith("." + suffix, StringComparison.Ordinal)).Value;

    private static int? Number(CheckpointFolder folder, string key) => folder.Config!.Value.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) ? number : null;
}
