using Tare.Graphs;

namespace Tare.Models;

/// <summary>StarCoder (Li et al. 2023, arXiv 2305.06161; GPTBigCode): GPT-2 with one key head for all queries, tied head.</summary>
[Architecture("starcoder", HuggingFace = "GPTBigCodeForCausalLM")]
internal sealed class StarCoder : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        int d = c.Size("n_embd", "embedding_length"), count = c.Size("n_head", "attention.head_count");
        int keys = c.IsGguf ? c.FindInt(null, "attention.head_count_kv") ?? 1 : c.Bool("multi_query", true) ? 1 : count;
        if (keys < 1 || count % keys != 0) throw c.Error("attention.head_count_kv", $"{keys} does not divide {count} heads");
        var heads = new HeadLayout(count, keys, d / count);
        var norm = NormSpec.LayerNorm(c.Float("layer_norm_epsilon", "attention.layer_norm_epsilon"));
        var activation = c.Activation("activation_function", ActivationKind.GeluTanh);
        var spec = heads.Attention(c.Bool("scale_attn_weights", true) ? null : 1);
        var t = w.OptionalPrefix("transformer").WithBiases(true, "the architecture", "");
        var g = new GraphBuilder();

        var embedding = t.Get("wte.weight", "token_embd.weight");
        Value x = g.Add(g.Embed(embedding), g.EmbedPositions(t.Get("wpe.weight", "position_embd.weight"))); // [Rows, d]
        for (int i = 0; i < c.Size("n_layer", "block_count"); i++)
        {
            var b = t.Scope($"h.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            Value fused = g.Linear(g.Norm(x, norm, b.Norm("ln_1", "attn_norm")), b.Linear("attn.c_attn", "attn_qkv"));
            var (q, k, v) = DecoderParts.SplitFused(g, fused, heads, perHead: !c.IsGguf && keys == count);
            x = g.Add(x, g.Linear(g.Attention(q, k, v, spec), b.Linear("attn.c_proj", "attn_output")));
            x = g.Add(x, DecoderParts.Mlp(g, b, g.Norm(x, norm, b.Norm("ln_2", "ffn_norm")), activation, "mlp.c_fc", "mlp.c_proj"));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => g.Norm(v, norm, t.Norm("ln_f", "output_norm")), v => g.Linear(v, head));
    }
}
