using Tare.Graphs;

namespace Tare.Models;

/// <summary>OLMo (Groeneveld et al. 2024): Llama's blocks with LayerNorm that has neither gain nor bias.</summary>
[Architecture("olmo", HuggingFace = "OlmoForCausalLM")]
internal sealed class Olmo : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        if ((c.FindFloat("clip_qkv", "attention.clamp_kqv") ?? 0) > 0) throw c.Error("clip_qkv", "clipped projections are not supported");
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.LayerNorm(c.FindFloat(null, "attention.layer_norm_epsilon") ?? 1e-5);
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, c.Pairing(RopePairing.Halves, gguf: RopePairing.Neighbors));
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices);
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            x = g.Add(x, DecoderParts.Attention(g, b, g.Norm(x, norm), heads, rope, heads.Attention()));
            x = g.Add(x, DecoderParts.GatedMlp(g, b, g.Norm(x, norm), activation));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm), v => g.Linear(v, head));
    }
}
