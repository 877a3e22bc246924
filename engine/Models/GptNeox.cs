using Tare.Graphs;

namespace Tare.Models;

/// <summary>GPT-NeoX and Pythia (Black et al. 2022, Biderman et al. 2023): LayerNorm, partial rotary, erf GELU, attention and MLP in parallel or in sequence.</summary>
/// <remarks>Checkpoints interleave q, k and v per head; GGUF files hold them one after the other.</remarks>
[Architecture("gptneox", HuggingFace = "GPTNeoXForCausalLM")]
internal sealed class GptNeox : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.LayerNorm(c.Float("layer_norm_eps", "attention.layer_norm_epsilon"));
        int rotated = heads.Rotated(c, 0.25, "rotary_pct");
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, rotated, RopePairing.Halves);
        var activation = c.Activation("hidden_act", ActivationKind.GeluErf);
        bool parallel = c.FindBool("use_parallel_residual", "use_parallel_residual") ?? true;
        c.Record("use_parallel_residual", parallel);
        var t = w.OptionalPrefix("gpt_neox").WithBiases(true, "the architecture", "").WithBiases(c.FindBool("attention_bias"), "attention_bias", "attention.");
        var g = new GraphBuilder();

        var embedding = t.Get("embed_in.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = t.Scope($"layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            Value fused = g.Linear(g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), b.Linear("attention.query_key_value", "attn_qkv"));
            var (q, k, v) = DecoderParts.SplitFused(g, fused, heads, perHead: !c.IsGguf);
            Value a = g.Linear(g.Attention(g.Rope(q, rope), g.Rope(k, rope), v, heads.Attention()), b.Linear("attention.dense", "attn_output"));
            Value after = g.Add(x, a);
            Value m = g.Norm(parallel ? x : after, norm, b.Norm("post_attention_layernorm", "ffn_norm"));
            x = g.Add(after, DecoderParts.Mlp(g, b, m, activation, "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"));
        }
        var head = w.Head("embed_out.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, t.Norm("final_layer_norm", "output_norm")), v => g.Linear(v, head));
    }
}
