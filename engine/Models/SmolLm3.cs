using Tare.Graphs;

namespace Tare.Models;

/// <summary>SmolLM3 (Hugging Face 2025): Llama whose every fourth layer does not rotate, tied head.</summary>
/// <remarks>GGUF files hold q and k rows permuted for neighboring pairs, and no key that says which layers rotate.</remarks>
[Architecture("smollm3", HuggingFace = "SmolLM3ForCausalLM")]
internal sealed class SmolLm3 : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, c.IsGguf ? RopePairing.Neighbors : RopePairing.Halves);
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        int layers = c.Size("num_hidden_layers", "block_count"), interval = c.FindInt("no_rope_layer_interval") ?? 4;
        int[] rotates = c.FindInts("no_rope_layers") ?? [.. Enumerable.Range(0, layers).Select(i => interval > 0 && (i + 1) % interval == 0 ? 0 : 1)]; // 1 = rotates, despite the name
        if (rotates.Length != layers) throw c.Error("no_rope_layers", $"{rotates.Length} entries for {layers} layers");
        bool[]? windowed = c.Bool("use_sliding_window", false) ? c.WindowedLayers(layers) : null;
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices).WithBiases(c.FindBool("mlp_bias"), "mlp_bias", "mlp.");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < layers; i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            x = g.Add(x, DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), heads, rotates[i] != 0 ? rope : null, heads.Attention(window: windowed?[i] == true ? c.Int("sliding_window") : null)));
            x = g.Add(x, DecoderParts.GatedMlp(g, b, g.Norm(x, norm, b.Norm("post_attention_layernorm", "ffn_norm")), activation));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }
}
