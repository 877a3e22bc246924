using Tare.Graphs;

namespace Tare.Models;

/// <summary>Attention heads of a model: counts and the width of one.</summary>
internal readonly record struct HeadLayout(int Heads, int KvHeads, int Width)
{
    /// <summary>Reads the usual keys; the width defaults to width / heads.</summary>
    public static HeadLayout Read(Config config, string width = "hidden_size", string heads = "num_attention_heads")
    {
        int count = config.Size(heads, "attention.head_count"), kv = config.FindInt("num_key_value_heads", "attention.head_count_kv") ?? count;
        int headWidth = config.FindInt("head_dim", "attention.key_length") ?? config.Size(width, "embedding_length") / count;
        if (kv <= 0 || count % kv != 0) throw config.Error("num_key_value_heads", $"{kv} does not divide {count} heads");
        return headWidth is > 0 and <= 1 << 16 ? new(count, kv, headWidth) : throw config.Error("head_dim", $"{headWidth} is not between 1 and 2^16");
    }

    /// <summary>Rotated elements of a head: <c>rope.dimension_count</c> in GGUF, where a missing key means the whole head, else a fraction of the head from config.json.</summary>
    public int Rotated(Config config, double otherwise, string fraction = "partial_rotary_factor") => config.IsGguf
        ? config.FindInt(null, "rope.dimension_count") ?? Width
        : (int)(Width * (config.Section("rope_parameters")?.FindFloat("partial_rotary_factor") ?? config.FindFloat(fraction) ?? otherwise));

    /// <summary>Attention over these heads; the scale defaults to 1/√width.</summary>
    public AttentionSpec Attention(double? scale = null, int? window = null) => new(Heads, KvHeads, Width, Width, scale ?? 1 / Math.Sqrt(Width), Window: window);
}
