using Tare.Graphs;

namespace Tare.Models;

/// <summary>GPT-2 (Radford et al. 2019): pre-LayerNorm blocks, learned positions, tanh GELU, tied head.</summary>
[Architecture("gpt2", HuggingFace = "GPT2LMHeadModel")]
internal sealed class Gpt2 : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        int d = c.Size("n_embd", "embedding_length"), count = c.Size("n_head", "attention.head_count");
        var heads = new HeadLayout(count, count, d / count);
        var norm = NormSpec.LayerNorm(c.Float("layer_norm_epsilon", "attention.layer_norm_epsilon"));
        var activation = c.Activation("activation_function", ActivationKind.GeluTanh);
        bool scaled = c.Bool("scale_attn_weights", true), byLayer = c.Bool("scale_attn_by_inverse_layer_idx", false);
        var t = w.OptionalPrefix("transformer").WithBiases(true, "the architecture", "");
        var g = new GraphBuilder();

        var embedding = t.Get("wte.weight", "token_embd.weight");
        Value x = g.Add(g.Embed(embedding), g.EmbedPositions(t.Get("wpe.weight", "position_embd.weight"))); // [Rows, d]
        for (int i = 0; i < c.Size("n_layer", "block_count"); i++)
        {
            var b = t.Scope($"h.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            Value a = g.Norm(x, norm, b.Norm("ln_1", "attn_norm"));
            var (q, k, v) = DecoderParts.SplitFused(g, g.Linear(a, b.Conv1D("attn.c_attn", "attn_qkv")), heads, perHead: false); // 3 × [Rows, d]
            a = g.Attention(q, k, v, heads.Attention((scaled ? 1 / Math.Sqrt(heads.Width) : 1) / (byLayer ? i + 1 : 1)));
            x = g.Add(x, g.Linear(a, b.Conv1D("attn.c_proj", "attn_output")));
            Value m = g.Linear(g.Norm(x, norm, b.Norm("ln_2", "ffn_norm")), b.Conv1D("mlp.c_fc", "ffn_up"));                    // [Rows, n_inner]
            x = g.Add(x, g.Linear(g.Activate(m, activation), b.Conv1D("mlp.c_proj", "ffn_down")));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => g.Norm(v, norm, t.Norm("ln_f", "output_norm")), v => g.Linear(v, head));
    }
}
