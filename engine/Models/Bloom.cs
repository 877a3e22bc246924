using Tare.Graphs;

namespace Tare.Models;

/// <summary>BLOOM (Le Scao et al. 2022): LayerNorm also on the embedding, ALiBi, tanh GELU, tied head.</summary>
[Architecture("bloom", HuggingFace = "BloomForCausalLM")]
internal sealed class Bloom : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        int d = c.FindInt("n_embed") ?? c.Size("hidden_size", "embedding_length"), count = c.Size("n_head", "attention.head_count");
        var heads = new HeadLayout(count, count, d / count);
        var norm = NormSpec.LayerNorm(c.Float("layer_norm_epsilon", "attention.layer_norm_epsilon"));
        bool residualAfterNorm = c.Bool("apply_residual_connection_post_layernorm", false);
        var spec = heads.Attention() with { AlibiSlopes = AttentionSpec.Slopes(count) };
        var t = w.OptionalPrefix("transformer").WithBiases(true, "the architecture", "");
        var g = new GraphBuilder();

        var embedding = t.Get("word_embeddings.weight", "token_embd.weight");
        Value x = g.Norm(g.Embed(embedding), norm, t.Norm("word_embeddings_layernorm", "token_embd_norm")); // [Rows, d]
        for (int i = 0; i < c.Size("n_layer", "block_count"); i++)
        {
            var b = t.Scope($"h.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            Value a = g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm"));
            var (q, k, v) = DecoderParts.SplitFused(g, g.Linear(a, b.Linear("self_attention.query_key_value", "attn_qkv")), heads, perHead: !c.IsGguf);
            x = g.Add(residualAfterNorm ? a : x, g.Linear(g.Attention(q, k, v, spec), b.Linear("self_attention.dense", "attn_output")));
            Value m = g.Norm(x, norm, b.Norm("post_attention_layernorm", "ffn_norm"));
            x = g.Add(residualAfterNorm ? m : x, DecoderParts.Mlp(g, b, m, ActivationKind.GeluTanh, "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => g.Norm(v, norm, t.Norm("ln_f", "output_norm")), v => g.Linear(v, head));
    }
}
