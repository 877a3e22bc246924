using Tare.Graphs;

namespace Tare.Models;

/// <summary>Nemotron-4 (Parmar et al. 2024, arXiv 2402.16819) and Minitron: LayerNorm with 1 + w, rotary over a part of the head, squared ReLU without a gate.</summary>
/// <remarks>GGUF files hold 1 + w already.</remarks>
[Architecture("nemotron", HuggingFace = "NemotronForCausalLM")]
internal sealed class Nemotron : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.LayerNorm(c.Float("norm_eps", "attention.layer_norm_epsilon")) with { GainOffset = c.IsGguf ? 0 : 1 };
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Rotated(c, 0.5), RopePairing.Halves);
        var activation = c.Activation("hidden_act", ActivationKind.ReluSquared);
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices).WithBiases(c.FindBool("mlp_bias"), "mlp_bias", "mlp.").WithBiases(true, "the architecture", "input_layernorm", "post_attention_layernorm", "model.norm");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            x = g.Add(x, DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), heads, rope, heads.Attention()));
            x = g.Add(x, DecoderParts.Mlp(g, b, g.Norm(x, norm, b.Norm("post_attention_layernorm", "ffn_norm")), activation, "mlp.up_proj", "mlp.down_proj"));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }
}
