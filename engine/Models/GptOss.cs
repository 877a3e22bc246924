using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>gpt-oss (OpenAI 2025, arXiv 2508.10925): RMSNorm, biases, attention sinks, alternating windows, experts with a clamped gated unit.</summary>
/// <remarks>
/// Checkpoints hold expert matrices as [experts, in, out], or in the published form as MXFP4 blocks and scales [experts, out, …], gate and up outputs in turn; GGUF files hold them apart, as [experts, out, in].
/// YaRN's ramp is not rounded to whole pairs.
/// </remarks>
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
            Value gate = Expert(n, "gate_up_proj", "ffn_gate_exps", 0, 2), up = Expert(n, "gate_up_proj", "ffn_up_exps", 1, 2); // [Rows, used · inner]
            x = g.Add(x, g.Append(new CombineExperts(), Expert(g.Append(unit, gate, up), "down_proj", "ffn_down_exps", 0, 1), chosen[1]));

            Value Expert(Value input, string name, string gguf, int part, int parts)
                => g.Append(new ExpertLinear(Matrix(b, name, gguf, experts, part, parts), Bias(b, name, gguf, experts, part, parts), experts), input, chosen[0]);
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }

    // The outputs part, part + parts, … of each expert: [experts · out, in].
    private static Weight Matrix(WeightSource b, string name, string gguf, int experts, int part, int parts)
    {
        if (b.IsGguf) return b.Get(null, $"{gguf}.weight");
        string path = $"mlp.experts.{name}";
        Weight all = b.Find($"{path}_blocks") is { } blocks ? new MicroscaledWeight(blocks, b.Get($"{path}_scales")) : new TransposeWeight(b.Get(path), experts);
        var own = Every(all, part, parts);
        return b.AsStored($"{gguf}.weight", own, experts, own.Rows / experts, own.Width);
    }

    // [experts, out]
    private static Weight Bias(WeightSource b, string name, string gguf, int experts, int part, int parts)
    {
        if (b.IsGguf) return b.Get(null, $"{gguf}.bias");
        var all = b.Get($"mlp.experts.{name}_bias");
        if (parts == 1) return b.AsStored($"{gguf}.bias", all, experts, all.Width);
        var own = new ReshapeWeight(Every(new ReshapeWeight(all, all.Rows * all.Width, 1), part, parts), experts, all.Width / parts);
        return b.AsStored($"{gguf}.bias", own, experts, own.Width);
    }

    private static Weight Every(Weight all, int part, int parts) => parts == 1 ? all : new SliceWeight(all, part, all.Rows / parts, parts);
}
