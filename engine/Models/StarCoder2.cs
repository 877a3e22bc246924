using Tare.Graphs;

namespace Tare.Models;

/// <summary>StarCoder2 (Lozhkov et al. 2024, arXiv 2402.19173): LayerNorm and biases, rotary, grouped queries, tanh GELU, tied head.</summary>
[Architecture("starcoder2", HuggingFace = "Starcoder2ForCausalLM")]
internal sealed class StarCoder2 : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.LayerNorm(c.Float("norm_epsilon", "attention.layer_norm_epsilon"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves);
        var activation = c.Activation("hidden_act", ActivationKind.GeluTanh);
        var spec = heads.Attention(window: c.FindInt("sliding_window", "attention.sliding_window") is > 0 and var window ? window : null);
        w = w.WithBiases(c.FindBool("use_bias"), "use_bias", [.. DecoderParts.AttentionMatrices, "mlp."]).WithBiases(true, "the architecture", "input_layernorm", "post_attention_layernorm", "model.norm");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            x = g.Add(x, DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), heads, rope, spec));
            x = g.Add(x, DecoderParts.Mlp(g, b, g.Norm(x, norm, b.Norm("post_attention_layernorm", "ffn_norm")), activation, "mlp.c_fc", "mlp.c_proj"));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }
}
