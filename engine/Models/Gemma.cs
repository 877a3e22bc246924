using Tare.Graphs;

namespace Tare.Models;

/// <summary>Gemma (Mesnard et al. 2024, arXiv 2403.08295): RMSNorm with 1 + w, scaled embedding, tanh GELU in a gated MLP, tied head.</summary>
/// <remarks>GGUF files hold 1 + w already.</remarks>
[Architecture("gemma", HuggingFace = "GemmaForCausalLM")]
internal sealed class Gemma : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        int d = c.Size("hidden_size", "embedding_length");
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon"), gainOffset: c.IsGguf ? 0 : 1);
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves);
        // The first checkpoints say "gelu" in hidden_act and mean the tanh form; hidden_activation, where it is there, is right.
        var activation = c.Activation("hidden_activation", ActivationKind.GeluTanh, otherwise: "gelu_pytorch_tanh");
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices);
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Scale(g.Embed(embedding), Math.Sqrt(d));                                                // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            x = g.Add(x, DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), heads, rope, heads.Attention()));
            x = g.Add(x, DecoderParts.GatedMlp(g, b, g.Norm(x, norm, b.Norm("post_attention_layernorm", "ffn_norm")), activation));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }
}
