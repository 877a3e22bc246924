using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>gpt-oss (OpenAI 2025, arXiv 2508.10925): RMSNorm, biases, attention sinks, alternating windows, experts with a clamped gated unit.</summary>
/// <remarks>Checkpoints hold expert matrices as [experts, in, out], gate and up columns in turn; GGUF files hold them apart, as [experts, out, in]. YaRN's ramp is not rounded to whole pairs.</remarks>
[Architecture("gpt-oss", HuggingFace = "GptOssForCausalLM")]
internal sealed class GptOss : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves, truncate: !c.IsGguf);
        int layers = c.Size("num_hidden_layers", "block_count"), window = c.Int("sliding_window", "attention.sliding_window"), experts = c.Size("num_local_experts", "expert_count"), used = c.Size("num_experts_per_tok", "expert_used_count");
        bool[] windowed = c.WindowedLayers(layers, 2);
        var unit = new ClampedGlu(c.FindFloat("swiglu_alpha") ?? 1.702, c.FindFloat("swiglu_limit") ?? 7);
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices).WithBiases(true, "the architecture", "mlp.router");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < layers; i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            var spec = heads.Attention(window: windowed[i] ? window : null) with { Sinks = b.Get("self_attn.sinks", "attn_sinks.weight") };
            x = g.Add(x, DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), heads, rope, spec));
            Value n = g.Norm(x, norm, b.Norm("post_attention_layernorm", "post_attention_norm"));
            // Softmax over the chosen experts only: the same as over all, then divided by the sum of the chosen.
            var chosen = g.AppendAll(new Router(new RouterSpec(experts, used, RouterScore.Softmax, Normalize: true)), g.Linear(n, b.Linear("mlp.router", "ffn_gate_inp")));
            var (gate, up) = c.IsGguf ? (Expert(n, "", "ffn_gate_exps"), Expert(n, "", "ffn_up_exps")) : Apart(Expert(n, "gate_up_proj", null)); // 2 × [Rows, used · inner]
            x = g.Add(x, g.Append(new CombineExperts(), Expert(g.Append(unit, gate, up), "down_proj", "ffn_down_exps"), chosen[1]));

            Value Expert(Value input, string name, string? gguf)
            {
                var weight = c.IsGguf ? b.Get(null, $"{gguf}.weight") : new TransposeWeight(b.Get($"mlp.experts.{name}"), experts);
                return g.Append(new ExpertLinear(weight, b.Get($"mlp.experts.{name}_bias", $"{gguf}.bias"), experts), input, chosen[0]);
            }

            (Value Gate, Value Up) Apart(Value both)
            {
                var parts = g.AppendAll(new SplitGroups(g.WidthOf(both) / 2, [1, 1]), both);
                return (parts[0], parts[1]);
            }
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }
}
