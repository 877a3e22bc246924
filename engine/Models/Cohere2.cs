using Tare.Graphs;

namespace Tare.Models;

/// <summary>Command R7B (Cohere 2024): attention and MLP in parallel under one LayerNorm, three windowed layers with rotary positions, then a full one without; tied head, scaled logits.</summary>
[Architecture("cohere2", HuggingFace = "Cohere2ForCausalLM")]
internal sealed class Cohere2 : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.LayerNorm(c.Float("layer_norm_eps", "attention.layer_norm_epsilon"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Neighbors);
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        double logitScale = c.FindFloat("logit_scale", "logit_scale") ?? 1;
        int layers = c.Size("num_hidden_layers", "block_count"), window = c.Int("sliding_window", "attention.sliding_window");
        bool[] windowed = c.WindowedLayers(layers, 4);
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices);
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < layers; i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            Value n = g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm"));
            Value a = DecoderParts.Attention(g, b, n, heads, windowed[i] ? rope : null, heads.Attention(window: windowed[i] ? window : null));
            x = g.Add(g.Add(x, a), DecoderParts.GatedMlp(g, b, n, activation));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Scale(g.Linear(v, head), logitScale));
    }
}
