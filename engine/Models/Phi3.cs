using Tare.Graphs;

namespace Tare.Models;

/// <summary>Phi-3 (Abdin et al. 2024, arXiv 2404.14219): Llama with q, k, v in one matrix, gate and up in another, and LongRoPE in the long forms.</summary>
[Architecture("phi3", HuggingFace = "Phi3ForCausalLM")]
internal sealed class Phi3 : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Rotated(c, 1), RopePairing.Halves);
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        var spec = heads.Attention(window: c.FindInt("sliding_window", "attention.sliding_window") is > 0 and var window ? window : null);
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            var (q, k, v) = DecoderParts.SplitFused(g, g.Linear(g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), b.Linear("self_attn.qkv_proj", "attn_qkv")), heads, perHead: false);
            x = g.Add(x, g.Linear(g.Attention(g.Rope(q, rope), g.Rope(k, rope with { Heads = heads.KvHeads }), v, spec), b.Linear("self_attn.o_proj", "attn_output")));
            x = g.Add(x, DecoderParts.FusedGatedMlp(g, b, g.Norm(x, norm, b.Norm("post_attention_layernorm", "ffn_norm")), activation));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }
}
