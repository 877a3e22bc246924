using Tare.Graphs;

namespace Tare.Models;

/// <summary>Qwen2 (Yang et al. 2024: q, k, v biases) and Qwen3 (Yang et al. 2025: RMSNorm per head on q and k, one gain for all heads).</summary>
[Architecture("qwen2", HuggingFace = "Qwen2ForCausalLM")]
[Architecture("qwen3", HuggingFace = "Qwen3ForCausalLM")]
internal sealed class Qwen : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        double epsilon = c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon");
        var norm = NormSpec.RmsNorm(epsilon);
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves);
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        bool windows = c.Bool("use_sliding_window", false);
        int layers = c.Size("num_hidden_layers", "block_count");
        bool[]? kinds = c.WindowedLayers(layers);
        bool normed = c.Architecture.StartsWith("qwen3", StringComparison.OrdinalIgnoreCase); // else Qwen2, with biases on q, k and v
        w = normed ? w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices) : w.WithBiases(true, "the architecture", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < layers; i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            bool windowed = windows && (kinds?[i] ?? i >= c.Int("max_window_layers"));
            Func<Value, Value>? QkNorm(string name, string gguf, int count) => normed ? v => g.Norm(v, NormSpec.RmsNorm(epsilon, groups: count), b.Norm(name, gguf)) : null;
            x = g.Add(x, DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), heads, rope, heads.Attention(window: windowed ? c.FindInt("sliding_window") : null),
                QkNorm("self_attn.q_norm", "attn_q_norm", heads.Heads), QkNorm("self_attn.k_norm", "attn_k_norm", heads.KvHeads)));
            x = g.Add(x, DecoderParts.GatedMlp(g, b, g.Norm(x, norm, b.Norm("post_attention_layernorm", "ffn_norm")), activation));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }
}
