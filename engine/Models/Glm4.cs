using Tare.Graphs;

namespace Tare.Models;

/// <summary>GLM-4-0414 (Zhipu AI 2025): sandwich RMSNorm, q, k, v biases, neighboring rotary pairs over a part of the head, gate and up in one matrix.</summary>
[Architecture(HuggingFace = "Glm4ForCausalLM")]
internal sealed class Glm4 : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Rotated(c, 0.5), RopePairing.Neighbors);
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers"); i++)
        {
            var b = w.Scope($"model.layers.{i}");
            using var _ = g.Block(x);
            Value a = DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm")), heads, rope, heads.Attention());
            x = g.Add(x, g.Norm(a, norm, b.Norm("post_self_attn_layernorm")));
            Value m = DecoderParts.FusedGatedMlp(g, b, g.Norm(x, norm, b.Norm("post_attention_layernorm")), activation);
            x = g.Add(x, g.Norm(m, norm, b.Norm("post_mlp_layernorm")));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm")), v => g.Linear(v, head));
    }
}
