using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>
/// DeepSeek-V3 (arXiv 2412.19437): multi-head latent attention with the up-projections absorbed, so that the cache holds latent + rotary key only; sigmoid router with groups and a
/// correction bias; shared experts.
/// </summary>
[Architecture("deepseek2", HuggingFace = "DeepseekV3ForCausalLM")]
internal sealed class DeepSeekV3 : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon"));
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        var latent = Latent.Read(c, w);
        foreach (var (key, expected) in new[] { ("scoring_func", "sigmoid"), ("topk_method", "noaux_tc") })
            if (c.FindString(key) is string value && value != expected) throw c.Error(key, $"'{value}' is not supported ('{expected}' is)");
        if (c.FindInt("moe_layer_freq") is int frequency and not 1) throw c.Error("moe_layer_freq", $"{frequency} is not supported (1 is)");
        if (c.IsGguf && c.FindInt(null, "expert_gating_func") is var gating and not 2) throw c.Error("expert_gating_func", $"{gating?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "missing"}: only 2 (sigmoid, DeepSeek-V3) is supported");
        int denseLayers = c.FindInt("first_k_dense_replace", "leading_dense_block_count") ?? 0;
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", "self_attn.q_a_proj", "self_attn.kv_a_proj_with_mqa", "self_attn.o_proj");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            x = g.Add(x, latent.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), norm));
            Value m = g.Norm(x, norm, b.Norm("post_attention_layernorm", "ffn_norm"));
            x = g.Add(x, i < denseLayers ? DecoderParts.GatedMlp(g, b, m, activation) : Experts(g, c, b, m, activation));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }

    private static Value Experts(GraphBuilder g, Config c, WeightSource b, Value x, ActivationKind activation)
    {
        var spec = new RouterSpec(c.Size("n_routed_experts", "expert_count"), c.Size("num_experts_per_tok", "expert_used_count"), RouterScore.Sigmoid,
            Normalize: c.FindBool("norm_topk_prob", "expert_weights_norm") ?? true, NormalizeEpsilon: 1e-20, Scale: c.FindFloat("routed_scaling_factor", "expert_weights_scale") ?? 1,
            Groups: c.FindInt("n_group", "expert_group_count") ?? 1, UsedGroups: c.FindInt("topk_group", "expert_group_used_count") ?? 1);
        Value routed = DecoderParts.Mixture(g, b, x, spec, b.Get("mlp.gate.weight", "ffn_gate_inp.weight"), c.IsGguf ? b.InAllLayers(null, "exp_probs_b.bias") : b.Get("mlp.gate.e_score_correction_bias", "exp_probs_b.bias"), activation,
            "mlp.experts", "gate_proj", "up_proj", "down_proj");
        bool shared = c.FindInt("n_shared_experts", "expert_shared_count") is int count ? count > 0 : b.InAllLayers("mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight") is not null;
        return shared
            ? g.Add(routed, DecoderParts.GatedMlp(g, b, x, activation, "mlp.shared_experts", suffix: "_shexp"))
            : routed;
    }

    /// <summary>Widths of latent attention: a query or key head is [plain, rotary] wide; keys and values come from one latent row.</summary>
    private sealed record Latent(int Heads, int Plain, int Rotary, int Value, int Rank, RopeSpec Rope, double Scale)
    {
        public static Latent Read(Config c, WeightSource w)
        {
            int heads = c.Size("num_attention_heads", "attention.head_count"), rotary = c.Size("qk_rope_head_dim", "rope.dimension_count"), rank = c.Size("kv_lora_rank", "attention.kv_lora_rank");
            // Files with split up-projections say under key_length what the cache holds, and keep the heads' widths under keys of their own.
            int plain = c.IsGguf ? (c.FindInt(null, "attention.key_length_mla") ?? c.Size(null, "attention.key_length")) - rotary : c.Size("qk_nope_head_dim");
            int value = c.FindInt(null, "attention.value_length_mla") ?? c.Size("v_head_dim", "attention.value_length");
            if (plain <= 0 || value <= 0) throw c.Error("attention.key_length", $"{plain + rotary} and values of {value} don't fit {rotary} rotated elements");
            var pairing = c.Bool("rope_interleave", true) ? RopePairing.Neighbors : RopePairing.Halves;
            var scaling = c.Section("rope_parameters") ?? c.Section("rope_scaling");
            double scale = 1 / Math.Sqrt(plain + rotary);
            if (scaling?.FindFloat("mscale_all_dim") is > 0 and double all && scaling.FindFloat("factor") is > 1 and double factor) scale *= Math.Pow(0.1 * all * Math.Log(factor) + 1, 2);
            if (c.FindFloat(null, "rope.scaling.yarn_log_multiplier") is > 0 and double multiplier && c.FindFloat(null, "rope.scaling.factor") is > 1 and double stretch) scale *= Math.Pow(multiplier * Math.Log(stretch) + 1, 2); // 0.1 · mscale_all_dim
            c.Record("attention.head_count_kv", heads);
            c.Record("attention.key_length", plain + rotary);
            c.Record("expert_gating_func", 2); // sigmoid
            _ = c.FindInt("q_lora_rank", "attention.q_lora_rank");
            _ = c.FindInt("n_shared_experts", "expert_shared_count");
            return new Latent(heads, plain, rotary, value, rank, RopeScaling.Read(c, w, heads, rotary, rotary, pairing), scale);
        }

        public Value Attention(GraphBuilder g, WeightSource b, Value x, NormSpec norm)
        {
            Value q = b.Has("self_attn.q_a_proj.weight", "attn_q_a.weight")
                ? g.Linear(g.Norm(g.Linear(x, b.Linear("self_attn.q_a_proj", "attn_q_a")), norm, b.Norm("self_attn.q_a_layernorm", "attn_q_a_norm")), b.Linear("self_attn.q_b_proj", "attn_q_b"))
                : g.Linear(x, b.Linear("self_attn.q_proj", "attn_q"));                                      // [Rows, heads · (plain + rotary)]
            var parts = g.AppendAll(new SplitGroups(Heads, [Plain, Rotary]), q);
            var (up, down) = Absorbed(b);
            Value absorbed = g.Append(new GroupLinear(up, Heads), parts[0]);                                // [Rows, heads · rank]
            q = g.Append(new JoinGroups(Heads), absorbed, g.Rope(parts[1], Rope));

            var compressed = g.Split(g.Linear(x, b.Linear("self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa")), Rank, Rotary);
            Value latent = g.Norm(compressed[0], norm, b.Norm("self_attn.kv_a_layernorm", "attn_kv_a_norm"));
            Value key = g.Append(new JoinGroups(1), latent, g.Rope(compressed[1], Rope with { Heads = 1 }));  // [Rows, rank + rotary]
            Value mixed = g.LatentAttention(q, key, new AttentionSpec(Heads, 1, Rank + Rotary, Rank, Scale)); // [Rows, heads · rank]
            return g.Linear(g.Append(new GroupLinear(down, Heads), mixed), b.Linear("self_attn.o_proj", "attn_output"));
        }

        // kv_b is, head after head, [plain + value, rank]: its key rows transposed go onto the query, its value rows onto the result.
        // Newer GGUF files hold the two apart, the first transposed: [heads, rank, plain] and [heads, value, rank].
        private (Weight OntoQuery, Weight OntoResult) Absorbed(WeightSource b)
        {
            if (b.Find(null, "attn_k_b.weight") is { } onto) return (onto, b.Get(null, "attn_v_b.weight"));
            var both = b.Get("self_attn.kv_b_proj.weight", "attn_kv_b.weight");
            int perHead = Plain + Value;
            if (both.Rows != (long)Heads * perHead || both.Width != Rank) throw new GraphException($"{both} is [{both.Rows},{both.Width}], {Heads} heads need [{Heads * perHead},{Rank}]");
            var keys = new ConcatWeight([.. Enumerable.Range(0, Heads).Select(h => new SliceWeight(both, (long)h * perHead, Plain))]);
            var values = new ConcatWeight([.. Enumerable.Range(0, Heads).Select(h => new SliceWeight(both, (long)h * perHead + Plain, Value))]);
            return (new TransposeWeight(keys, Heads), values);
        }
    }
}
