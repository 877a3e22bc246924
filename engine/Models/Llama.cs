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
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, c.FindInt(null, "rope.dimension_count") ?? heads.Width, c.Pairing(RopePairing.Halves, gguf: RopePairing.Neighbors));
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        int experts = c.FindInt("num_local_experts", "expert_count") ?? 0;
        var spec = heads.Attention(window: c.FindInt("sliding_window"));
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices).WithBiases(c.FindBool("mlp_bias"), "mlp_bias", "mlp.");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            x = g.Add(x, DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), heads, rope, spec));
            Value m = g.Norm(x, norm, b.Norm("post_attention_layernorm", "ffn_norm"));
            x = g.Add(x, experts == 0 ? DecoderParts.GatedMlp(g, b, m, activation) : Mixture(g, c, b, m, experts, activation));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }

    private static Value Mixture(GraphBuilder g, Config c, WeightSource b, Value x, int experts, ActivationKind activation)
        => DecoderParts.Mixture(g, b, x, new RouterSpec(experts, c.Int("num_experts_per_tok", "expert_used_count"), RouterScore.Softmax, Normalize: true),
            b.Get("block_sparse_moe.gate.weight", "ffn_gate_inp.weight"), null, activation, "block_sparse_moe.experts", gate: "w1", up: "w3", down: "w2");
}
