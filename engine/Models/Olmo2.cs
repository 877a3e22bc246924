using Tare.Graphs;

namespace Tare.Models;

/// <summary>OLMo 2 (Walsh et al. 2025, arXiv 2501.00656): RMSNorm on what each sublayer returns, and over the full width of q and k.</summary>
[Architecture("olmo2", HuggingFace = "Olmo2ForCausalLM")]
internal sealed class Olmo2 : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves);
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices);
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            Value a = DecoderParts.Attention(g, b, x, heads, rope, heads.Attention(), q => g.Norm(q, norm, b.Norm("self_attn.q_norm", "attn_q_norm")), k => g.Norm(k, norm, b.Norm("self_attn.k_norm", "attn_k_norm")));
            x = g.Add(x, g.Norm(a, norm, b.Norm("post_attention_layernorm", "post_attention_norm")));
            x = g.Add(x, g.Norm(DecoderParts.GatedMlp(g, b, x, activation), norm, b.Norm("post_feedforward_layernorm", "post_ffw_norm")));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }
}
