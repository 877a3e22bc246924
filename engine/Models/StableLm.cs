using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>StableLM (Bellagente et al. 2024): LayerNorm, partial rotary, SwiGLU; the 12B form is parallel and has a LayerNorm per head on q and k, one gain row a head.</summary>
/// <remarks>In GGUF a missing ffn_norm means the parallel form.</remarks>
[Architecture("stablelm", HuggingFace = "StableLmForCausalLM")]
internal sealed class StableLm : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        double epsilon = c.Float("layer_norm_eps", "attention.layer_norm_epsilon");
        var norm = NormSpec.LayerNorm(epsilon);
        int rotated = heads.Rotated(c, 0.25);
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, rotated, RopePairing.Halves);
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        w = w.WithBiases(c.FindBool("use_qkv_bias"), "use_qkv_bias", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj").WithBiases(true, "the architecture", "input_layernorm", "post_attention_layernorm", "model.norm");
        _ = c.FindBool("use_parallel_residual", "use_parallel_residual");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            bool parallel = c.IsGguf ? !b.Has(null, "ffn_norm.weight") : c.Bool("use_parallel_residual", false);
            Value n = g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm"));
            Value a = DecoderParts.Attention(g, b, n, heads, rope, heads.Attention(), QkNorm(g, c, b, "q", heads.Heads, heads.Width, epsilon), QkNorm(g, c, b, "k", heads.KvHeads, heads.Width, epsilon));
            Value after = g.Add(x, a);
            x = g.Add(after, DecoderParts.GatedMlp(g, b, parallel ? n : g.Norm(after, norm, b.Norm("post_attention_layernorm", "ffn_norm")), activation));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }

    private static Func<Value, Value>? QkNorm(GraphBuilder g, Config c, WeightSource block, string which, int heads, int width, double epsilon)
    {
        string name = $"self_attn.{which}_layernorm.norms";
        bool there = c.FindBool("qk_layernorm") ?? block.InAllLayers($"{name}.0.weight", $"attn_{which}_norm.weight") is not null;
        if (!there) return null;
        Weight rows = block.Stack(heads, h => $"{name}.{h}.weight", $"attn_{which}_norm.weight"); // [heads, width]
        return v => g.Norm(v, NormSpec.LayerNorm(epsilon, heads), new NormWeights(new ReshapeWeight(rows, 1, heads * width)));
    }
}
