using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>GPT-2 (Radford et al. 2019): pre-LayerNorm blocks, learned positions, tanh GELU, tied head.</summary>
[Architecture("gpt2", HuggingFace = "GPT2LMHeadModel")]
internal sealed class Gpt2 : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        int d = c.Size("n_embd", "embedding_length"), count = c.Size("n_head", "attention.head_count");
        var heads = new HeadLayout(count, count, d / count);
        var norms = NormSection.Read(c, NormSpec.LayerNorm(c.Float("layer_norm_epsilon", "attention.layer_norm_epsilon")));
        var activation = c.Activation("activation_function", ActivationKind.GeluTanh);
        bool scaled = c.Bool("scale_attn_weights", true), byLayer = c.Bool("scale_attn_by_inverse_layer_idx", false);
        var t = w.OptionalPrefix("transformer").WithBiases(true, "the architecture", "");
        var g = new GraphBuilder();

        var embedding = t.Get("wte.weight", "token_embd.weight");
        var blocks = new NormBlocks(g, norms, new(("ln_1", "attn_norm"), ("ln_2", "ffn_norm")));
        var positions = t.Get("wpe.weight", "position_embd.weight");
        Value x = blocks.Begin(g.Add(g.Embed(embedding), g.EmbedPositions(positions)), t, "wte", "token_embd", (int)positions.Rows); // [Rows, d]
        for (int i = 0; i < c.Size("n_layer", "block_count"); i++)
        {
            var b = t.Scope($"h.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            var spec = heads.Attention((scaled ? 1 / Math.Sqrt(heads.Width) : 1) / (byLayer ? i + 1 : 1));
            var fused = b.Conv1D("attn.c_attn", "attn_qkv");
            var output = b.Conv1D("attn.c_proj", "attn_output");
            Value Normed(Value v, string member, string which) => norms.Heads(g, b, member, $"attn.{which}_norm", $"attn_{which}_norm", count) is { } norm ? norm(v) : v;
            x = blocks.Block(x, b, i, n =>
            {
                var (q, k, v) = DecoderParts.SplitFused(g, g.Linear(n, fused), heads, perHead: false); // 3 × [Rows, d]
                return g.Linear(g.Attention(Normed(q, "qk", "q"), Normed(k, "qk", "k"), Normed(v, "v", "v"), spec), output);
            }, n => g.Linear(g.Activate(g.Linear(n, b.Conv1D("mlp.c_fc", "ffn_up")), activation), b.Conv1D("mlp.c_proj", "ffn_down")),
                () => new(output.Weight, new SliceWeight(fused.Weight, 2 * d, d), heads.Width));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(blocks.Close(x, t), v => blocks.End(v, t, "ln_f", "output_norm"), v => g.Linear(v, head));
    }
}
