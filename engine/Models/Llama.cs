using Tare.Graphs;

namespace Tare.Models;

/// <summary>Llama (Touvron et al. 2023) and Mistral (Jiang et al. 2023): pre-RMSNorm, rotary, grouped queries, SwiGLU; Mixtral (Jiang et al. 2024) with experts in place of the MLP.</summary>
/// <remarks>GGUF files hold q and k rows permuted for neighboring pairs, and name Mixtral "llama" too.</remarks>
[Architecture("llama", HuggingFace = "LlamaForCausalLM")]
[Architecture(HuggingFace = "MistralForCausalLM")]
[Architecture(HuggingFace = "MixtralForCausalLM")]
internal sealed class Llama : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norms = NormSection.Read(c, NormSpec.RmsNorm(c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon")));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, c.FindInt(null, "rope.dimension_count") ?? heads.Width, c.Pairing(RopePairing.Halves, gguf: RopePairing.Neighbors));
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        int experts = c.FindInt("num_local_experts", "expert_count") ?? 0;
        var spec = heads.Attention(window: c.FindInt("sliding_window"));
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices).WithBiases(c.FindBool("mlp_bias"), "mlp_bias", "mlp.");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        var blocks = new NormBlocks(g, norms, new(("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm")));
        Value x = blocks.Begin(g.Embed(embedding), w, "model.embed_tokens", "token_embd", c.FindInt("max_position_embeddings", "context_length") ?? ContextLength.Default); // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            Func<Value, Value>? Heads(string member, string which, int count) => norms.Heads(g, b, member, $"self_attn.{which}_norm", $"attn_{which}_norm", count);
            x = blocks.Block(x, b, i,
                v => DecoderParts.Attention(g, b, v, heads, rope, spec, Heads("qk", "q", heads.Heads), Heads("qk", "k", heads.KvHeads), Heads("v", "v", heads.KvHeads), norms.AfterRotation),
                v => experts == 0 ? DecoderParts.GatedMlp(g, b, v, activation) : Mixture(g, c, b, v, experts, activation),
                () => new(b.Get("self_attn.o_proj.weight", "attn_output.weight"), b.Get("self_attn.v_proj.weight", "attn_v.weight"), heads.Width));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(blocks.Close(x, w), v => blocks.End(v, w, "model.norm", "output_norm"), v => g.Linear(v, head));
    }

    private static Value Mixture(GraphBuilder g, Config c, WeightSource b, Value x, int experts, ActivationKind activation)
        => DecoderParts.Mixture(g, b, x, new RouterSpec(experts, c.Int("num_experts_per_tok", "expert_used_count"), RouterScore.Softmax, Normalize: true),
            b.Get("block_sparse_moe.gate.weight", "ffn_gate_inp.weight"), null, activation, "block_sparse_moe.experts", gate: "w1", up: "w3", down: "w2");
}
