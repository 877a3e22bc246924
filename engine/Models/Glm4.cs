using Tare.Graphs;

namespace Tare.Models;

/// <summary>GLM-4-0414 (Zhipu AI 2025): sandwich RMSNorm, q, k, v biases, neighboring rotary pairs over a part of the head, gate and up in one matrix.</summary>
[Architecture("glm4", HuggingFace = "Glm4ForCausalLM")]
internal sealed class Glm4 : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Rotated(c, 0.5), RopePairing.Neighbors);
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices).WithBiases(false, "the architecture", "self_attn.o_proj");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            Value a = DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), heads, rope, heads.Attention());
            x = g.Add(x, g.Norm(a, norm, b.Norm("post_self_attn_layernorm", "post_attention_norm")));
            Value m = DecoderParts.FusedGatedMlp(g, b, g.Norm(x, norm, b.Norm("post_attention_layernorm", "ffn_norm")), activation);
            x = g.Add(x, g.Norm(m, norm, b.Norm("post_mlp_layernorm", "post_ffw_norm")));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }
}
