using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>Qwen2-MoE (Yang et al. 2024: a shared expert behind a sigmoid gate, q, k, v biases) and Qwen3-MoE (Yang et al. 2025: RMSNorm per head on q and k).</summary>
/// <remarks>In GGUF the weights of the chosen experts are normalized for qwen3moe unless <c>expert_weights_norm</c> says otherwise.</remarks>
[Architecture("qwen2moe", HuggingFace = "Qwen2MoeForCausalLM")]
[Architecture("qwen3moe", HuggingFace = "Qwen3MoeForCausalLM")]
internal sealed class QwenMoe : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        double epsilon = c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon");
        var norm = NormSpec.RmsNorm(epsilon);
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves);
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        bool normalize = c.FindBool("norm_topk_prob", "expert_weights_norm") ?? (c.IsGguf && c.Architecture == "qwen3moe");
        var router = new RouterSpec(c.FindInt("num_experts", "expert_count") ?? c.Size("num_local_experts", "expert_count"), c.Size("num_experts_per_tok", "expert_used_count"), RouterScore.Softmax, normalize);
        int layers = c.Size("num_hidden_layers", "block_count"), sparseStep = c.FindInt("decoder_sparse_step") ?? 1;
        int[] dense = c.FindInts("mlp_only_layers") ?? [];
        bool windows = c.Bool("use_sliding_window", false);
        bool[]? kinds = c.WindowedLayers(layers);
        bool normed = c.Architecture.StartsWith("qwen3", StringComparison.OrdinalIgnoreCase); // else Qwen2, with biases on q, k and v
        w = normed ? w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices) : w.WithBiases(c.FindBool("qkv_bias") ?? true, "qkv_bias", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < layers; i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            bool windowed = windows && (kinds?[i] ?? i >= (c.FindInt("max_window_layers") ?? 0));
            Func<Value, Value>? QkNorm(string name, string gguf, int count) => normed ? v => g.Norm(v, NormSpec.RmsNorm(epsilon, groups: count), b.Norm(name, gguf)) : null;
            x = g.Add(x, DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), heads, rope, heads.Attention(window: windowed ? c.FindInt("sliding_window") : null),
                QkNorm("self_attn.q_norm", "attn_q_norm", heads.Heads), QkNorm("self_attn.k_norm", "attn_k_norm", heads.KvHeads)));
            Value n = g.Norm(x, norm, b.Norm("post_attention_layernorm", "ffn_norm"));
            bool sparse = c.IsGguf ? b.Has(null, "ffn_gate_inp.weight") : !dense.Contains(i) && sparseStep > 0 && (i + 1) % sparseStep == 0;
            x = g.Add(x, sparse ? Mixture(g, b, n, router, activation, shared: !normed) : DecoderParts.GatedMlp(g, b, n, activation));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }

    private static Value Mixture(GraphBuilder g, WeightSource b, Value x, RouterSpec router, ActivationKind activation, bool shared)
    {
        Value experts = DecoderParts.Mixture(g, b, x, router, b.Get("mlp.gate.weight", "ffn_gate_inp.weight"), null, activation, "mlp.experts", gate: "gate_proj", up: "up_proj", down: "down_proj");
        if (!shared) return experts;
        var gate = b.Get("mlp.shared_expert_gate.weight", "ffn_gate_inp_shexp.weight");
        Value always = DecoderParts.GatedMlp(g, b, x, activation, "mlp.shared_expert", "ffn", "_shexp");
        if (gate.Rows != 1) gate = new ReshapeWeight(gate, 1, checked((int)(gate.Rows * gate.Width)));
        return g.Add(experts, g.Multiply(always, g.Activate(g.Linear(x, gate), ActivationKind.Sigmoid)));
    }
}
