using Tare.Graphs;

namespace Tare.Models;

/// <summary>EXAONE 4 (LG AI Research 2025, arXiv 2507.11407): RMSNorm on what each sublayer returns and per head on q and k; windowed layers rotate, full ones do not where there are both.</summary>
[Architecture("exaone4", HuggingFace = "Exaone4ForCausalLM")]
internal sealed class Exaone4 : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        double epsilon = c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon");
        var norm = NormSpec.RmsNorm(epsilon);
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves);
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        int layers = c.Size("num_hidden_layers", "block_count");
        int? window = c.FindInt("sliding_window", "attention.sliding_window");
        bool[] windowed = window is null ? new bool[layers] : c.WindowedLayers(layers, c.IsGguf ? 4 : 0);
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < layers; i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            Value a = DecoderParts.Attention(g, b, x, heads, window is null || windowed[i] ? rope : null, heads.Attention(window: windowed[i] ? window : null),
                q => g.Norm(q, NormSpec.RmsNorm(epsilon, groups: heads.Heads), b.Norm("self_attn.q_norm", "attn_q_norm")), k => g.Norm(k, NormSpec.RmsNorm(epsilon, groups: heads.KvHeads), b.Norm("self_attn.k_norm", "attn_k_norm")));
            x = g.Add(x, g.Norm(a, norm, b.Norm("post_attention_layernorm", "post_attention_norm")));
            x = g.Add(x, g.Norm(DecoderParts.GatedMlp(g, b, x, activation), norm, b.Norm("post_feedforward_layernorm", "post_ffw_norm")));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }
}
