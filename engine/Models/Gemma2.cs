using Tare.Graphs;

namespace Tare.Models;

/// <summary>Gemma 2 (Riviere et al. 2024, arXiv 2408.00118): sandwich RMSNorm with 1 + w, alternating windows, soft-capped scores and logits, scaled embedding, tied head.</summary>
/// <remarks>GGUF files hold 1 + w already, and no attention scale: 1/√head width, but 1/√(width / heads) for the 46-layer model.</remarks>
[Architecture("gemma2", HuggingFace = "Gemma2ForCausalLM")]
internal sealed class Gemma2 : IArchitecture
{
    private const int LayersOf27B = 46;

    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        int d = c.Size("hidden_size", "embedding_length"), layers = c.Size("num_hidden_layers", "block_count");
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon"), gainOffset: c.IsGguf ? 0 : 1);
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves);
        var activation = c.Activation("hidden_activation", ActivationKind.GeluTanh, otherwise: "gelu_pytorch_tanh");
        double scalar = c.IsGguf ? layers == LayersOf27B ? (double)d / heads.Heads : heads.Width : c.Float("query_pre_attn_scalar");
        double? scoreCap = c.FindFloat("attn_logit_softcapping", "attn_logit_softcapping"), logitCap = c.FindFloat("final_logit_softcapping", "final_logit_softcapping");
        int? window = c.FindInt("sliding_window", "attention.sliding_window");
        bool[]? kinds = c.WindowedLayers(layers);
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices);
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Scale(g.Embed(embedding), Math.Sqrt(d));                                                // [Rows, d]
        for (int i = 0; i < layers; i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            bool windowed = kinds?[i] ?? i % 2 == 0;
            var spec = heads.Attention(1 / Math.Sqrt(scalar), windowed ? window : null) with { SoftCap = scoreCap };
            Value a = DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), heads, rope, spec);
            x = g.Add(x, g.Norm(a, norm, b.Norm("post_attention_layernorm", "post_attention_norm")));
            Value m = DecoderParts.GatedMlp(g, b, g.Norm(x, norm, b.Norm("pre_feedforward_layernorm", "ffn_norm")), activation);
            x = g.Add(x, g.Norm(m, norm, b.Norm("post_feedforward_layernorm", "post_ffw_norm")));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.SoftCap(g.Linear(v, head), logitCap));
    }
}
