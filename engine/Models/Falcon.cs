using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Models;

/// <summary>
/// Falcon (Almazrouei et al. 2023, arXiv 2311.16867): LayerNorm, rotary, erf GELU, tied head; attention and MLP in parallel, under one norm with a single key head (7B) or under two with grouped heads (40B), or
/// one after the other.
/// </summary>
/// <remarks>Checkpoints interleave the parts of the fused projection per key head; GGUF files hold q, k, v one after the other, and a second norm there feeds attention.</remarks>
[Architecture("falcon", HuggingFace = "FalconForCausalLM")]
internal sealed class Falcon : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        if (c.Bool("alibi", false)) throw c.Error("alibi", "true is not supported");
        bool grouped = c.Bool("new_decoder_architecture", false), parallel = c.IsGguf || grouped || c.Bool("parallel_attn", true);
        int count = c.Size("num_attention_heads", "attention.head_count"), d = c.Size("hidden_size", "embedding_length");
        int keys = c.IsGguf ? c.FindInt(null, "attention.head_count_kv") ?? count : grouped ? c.FindInt("num_kv_heads") ?? count : c.Bool("multi_query", true) ? 1 : count;
        if (keys < 1 || count % keys != 0) throw c.Error("num_kv_heads", $"{keys} does not divide {count} heads");
        var heads = new HeadLayout(count, keys, d / count);
        var norm = NormSpec.LayerNorm(c.Float("layer_norm_epsilon", "attention.layer_norm_epsilon"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves);
        var activation = c.Activation("activation", ActivationKind.GeluErf, otherwise: "gelu");
        var t = w.OptionalPrefix("transformer").WithBiases(c.FindBool("bias"), "bias", "self_attention.", "mlp.").WithBiases(true, "the architecture", "ln_", "input_layernorm", "post_attention_layernorm");
        var g = new GraphBuilder();

        var embedding = t.Get("word_embeddings.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = t.Scope($"h.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            bool two = b.InAllLayers("ln_attn.weight", "attn_norm_2.weight") is not null;
            Value forAttention = g.Norm(x, norm, two ? b.Norm("ln_attn", "attn_norm_2") : b.Norm("input_layernorm", "attn_norm"));
            Value fused = g.Linear(forAttention, b.Linear("self_attention.query_key_value", "attn_qkv"));
            var (q, k, v) = Split(g, fused, heads, perGroup: !c.IsGguf && (grouped || keys == count));
            Value a = g.Linear(g.Attention(g.Rope(q, rope), g.Rope(k, rope with { Heads = keys }), v, heads.Attention()), b.Linear("self_attention.dense", "attn_output"));
            Value after = g.Add(x, a);
            Value forMlp = two ? g.Norm(x, norm, b.Norm("ln_mlp", "attn_norm")) : parallel ? forAttention : g.Norm(after, norm, b.Norm("post_attention_layernorm", "ffn_norm"));
            x = g.Add(after, DecoderParts.Mlp(g, b, forMlp, activation, "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => g.Norm(v, norm, t.Norm("ln_f", "output_norm")), v => g.Linear(v, head));
    }

    // Per key head: its queries, its key, its value; or all queries, all keys, all values.
    private static (Value Q, Value K, Value V) Split(GraphBuilder g, Value fused, HeadLayout heads, bool perGroup)
    {
        if (!perGroup) return DecoderParts.SplitFused(g, fused, heads, perHead: false);
        var parts = g.AppendAll(new SplitGroups(heads.KvHeads, [heads.Heads / heads.KvHeads * heads.Width, heads.Width, heads.Width]), fused);
        return (parts[0], parts[1], parts[2]);
    }
}
