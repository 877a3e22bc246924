using Tare.Graphs;

namespace Tare.Models;

/// <summary>SmolLM3 (Hugging Face 2025): Llama whose every fourth layer does not rotate, tied head.</summary>
[Architecture(HuggingFace = "SmolLM3ForCausalLM")]
internal sealed class SmolLm3 : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves);
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        int layers = c.Size("num_hidden_layers"), interval = c.FindInt("no_rope_layer_interval") ?? 4;
        int[] rotates = c.FindInts("no_rope_layers") ?? [.. Enumerable.Range(0, layers).Select(i => interval > 0 && (i + 1) % interval == 0 ? 0 : 1)]; // 1 = rotates, despite the name
        if (rotates.Length != layers) throw c.Error("no_rope_layers", $"{rotates.Length} entries for {layers} layers");
        bool[]? windowed = c.Bool("use_sliding_window", false) ? c.WindowedLayers(layers) : null;
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < layers; i++)
        {
            var b = w.Scope($"model.layers.{i}");
            using var _ = g.Block(x);
            x = g.Add(x, DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm")), heads, rotates[i] != 0 ? rope : null, heads.Attention(window: windowed?[i] == true ? c.Int("sliding_window") : null)));
            x = g.Add(x, DecoderParts.GatedMlp(g, b, g.Norm(x, norm, b.Norm("post_attention_layernorm")), activation));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm")), v => g.Linear(v, head));
    }
}
