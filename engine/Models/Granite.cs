using Tare.Graphs;

namespace Tare.Models;

/// <summary>Granite 3 (IBM 2024): Llama with factors on the embedding, the scores, what each sublayer adds, and the logits (a divisor).</summary>
/// <remarks>GGUF files hold q and k rows permuted for neighboring pairs.</remarks>
[Architecture("granite", HuggingFace = "GraniteForCausalLM")]
internal sealed class Granite : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, c.Pairing(RopePairing.Halves, gguf: RopePairing.Neighbors));
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        double residual = c.FindFloat("residual_multiplier", "residual_scale") ?? 1, divisor = c.FindFloat("logits_scaling", "logit_scale") ?? 1;
        if (divisor == 0) throw c.Error("logits_scaling", "is 0");
        var spec = heads.Attention(c.FindFloat("attention_multiplier", "attention.scale"));
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices).WithBiases(c.FindBool("mlp_bias"), "mlp_bias", "mlp.");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Scale(g.Embed(embedding), c.FindFloat("embedding_multiplier", "embedding_scale") ?? 1); // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            x = g.Add(x, g.Scale(DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), heads, rope, spec), residual));
            x = g.Add(x, g.Scale(DecoderParts.GatedMlp(g, b, g.Norm(x, norm, b.Norm("post_attention_layernorm", "ffn_norm")), activation), residual));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Scale(g.Linear(v, head), 1 / divisor));
    }
}
