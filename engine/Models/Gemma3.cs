using Tare.Graphs;

namespace Tare.Models;

/// <summary>Gemma 3 (Kamath et al. 2025, arXiv 2503.19786): sandwich RMSNorm and RMSNorm per head on q and k, all with 1 + w; windowed layers with a rotary base of their own, tied head.</summary>
/// <remarks>GGUF files hold 1 + w already, and the windows as a list of bools where they are not five to one. Their attention scale is 1/√head width, but 1/√(width / heads) for the 62-layer model.</remarks>
[Architecture("gemma3", HuggingFace = "Gemma3ForCausalLM")]
internal sealed class Gemma3 : IArchitecture
{
    private const int LayersOf27B = 62;

    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        int d = c.Size("hidden_size", "embedding_length"), layers = c.Size("num_hidden_layers", "block_count"), offset = c.IsGguf ? 0 : 1;
        double epsilon = c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon");
        var norm = NormSpec.RmsNorm(epsilon, offset);
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves, defaultBase: 1e6, layerType: "full_attention");
        double localBase = c.Section("rope_parameters")?.Section("sliding_attention")?.FindFloat("rope_theta") ?? c.FindFloat("rope_local_base_freq", "rope.freq_base_swa") ?? 10000;
        c.Record("rope.freq_base_swa", localBase);
        var localRope = RopeScaling.Plain(heads, RopePairing.Halves, localBase);
        var activation = c.Activation("hidden_activation", ActivationKind.GeluTanh, otherwise: "gelu_pytorch_tanh");
        double scalar = c.IsGguf ? layers == LayersOf27B ? (double)d / heads.Heads : heads.Width : c.Float("query_pre_attn_scalar");
        double? scoreCap = c.FindFloat("attn_logit_softcapping"), logitCap = c.FindFloat("final_logit_softcapping", "final_logit_softcapping");
        int window = c.Int("sliding_window", "attention.sliding_window");
        bool[] windowed = c.WindowedLayers(layers, 6);
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices);
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Scale(g.Embed(embedding), Math.Sqrt(d));                                                // [Rows, d]
        for (int i = 0; i < layers; i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            var spec = heads.Attention(1 / Math.Sqrt(scalar), windowed[i] ? window : null) with { SoftCap = scoreCap };
            Value a = DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), heads, windowed[i] ? localRope : rope, spec,
                q => g.Norm(q, NormSpec.RmsNorm(epsilon, offset, heads.Heads), b.Norm("self_attn.q_norm", "attn_q_norm")), k => g.Norm(k, NormSpec.RmsNorm(epsilon, offset, heads.KvHeads), b.Norm("self_attn.k_norm", "attn_k_norm")));
            x = g.Add(x, g.Norm(a, norm, b.Norm("post_attention_layernorm", "post_attention_norm")));
            Value m = DecoderParts.GatedMlp(g, b, g.Norm(x, norm, b.Norm("pre_feedforward_layernorm", "ffn_norm")), activation);
            x = g.Add(x, g.Norm(m, norm, b.Norm("post_feedforward_layernorm", "post_ffw_norm")));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.SoftCap(g.Linear(v, head), logitCap));
    }
}
