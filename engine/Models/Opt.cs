using Tare.Graphs;

namespace Tare.Models;

/// <summary>OPT (Zhang et al. 2022): learned positions that start at 2, ReLU, LayerNorm before the sublayers or (350M) after them, there with narrower embeddings behind projections.</summary>
[Architecture(HuggingFace = "OPTForCausalLM")]
internal sealed class Opt : IArchitecture
{
    private const int PositionOffset = 2;

    public Graph Build(Config c, WeightSource w)
    {
        int count = c.Size("num_attention_heads"), d = c.Size("hidden_size");
        var heads = new HeadLayout(count, count, d / count);
        bool before = c.Bool("do_layer_norm_before", true), finalNorm = before && !c.Bool("_remove_final_layer_norm", false), affine = c.Bool("layer_norm_elementwise_affine", true);
        var norm = NormSpec.LayerNorm(1e-5);
        var activation = c.Activation("activation_function", ActivationKind.Relu);
        var t = w.OptionalPrefix("model").Scope("decoder").WithBiases(c.FindBool("enable_bias"), "enable_bias", "self_attn.", "fc").WithBiases(affine, "layer_norm_elementwise_affine", "self_attn_layer_norm", "final_layer_norm");
        var g = new GraphBuilder();
        Value Norm(Value v, WeightSource scope, string name) => g.Norm(v, norm, affine ? scope.Norm(name) : default);

        var embedding = t.Get("embed_tokens.weight");
        Value x = g.Embed(embedding);
        bool projected = (c.FindInt("word_embed_proj_dim") ?? d) != d;
        if (projected) x = g.Linear(x, t.Linear("project_in"));
        x = g.Add(x, g.EmbedPositions(t.Get("embed_positions.weight"), PositionOffset));                    // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers"); i++)
        {
            var b = t.Scope($"layers.{i}");
            using var _ = g.Block(x);
            var (q, k, v) = DecoderParts.Projections(g, b, before ? Norm(x, b, "self_attn_layer_norm") : x, heads, null);
            x = g.Add(x, g.Linear(g.Attention(q, k, v, heads.Attention()), b.Linear("self_attn.out_proj")));
            if (!before) x = Norm(x, b, "self_attn_layer_norm");
            x = g.Add(x, DecoderParts.Mlp(g, b, before ? Norm(x, b, "final_layer_norm") : x, activation, "fc1", "fc2"));
            if (!before) x = Norm(x, b, "final_layer_norm");
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v =>
        {
            if (finalNorm) v = Norm(v, t, "final_layer_norm");
            return projected ? g.Linear(v, t.Linear("project_out")) : v;
        }, v => g.Linear(v, head));
    }
}
