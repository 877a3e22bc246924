using Tare.Graphs;

namespace Tare.Models;

/// <summary>Phi-2 (Javaheripi et al. 2023): attention and MLP in parallel under one LayerNorm, biases everywhere, partial rotary, tanh GELU.</summary>
[Architecture("phi2", HuggingFace = "PhiForCausalLM")]
internal sealed class Phi2 : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        if (c.Bool("qk_layernorm", false)) throw c.Error("qk_layernorm", "true is not supported");
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.LayerNorm(c.Float("layer_norm_eps", "attention.layer_norm_epsilon"));
        int rotated = heads.Rotated(c, 0.5);
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, rotated, RopePairing.Halves);
        var activation = c.Activation("hidden_act", ActivationKind.GeluTanh);
        w = w.WithBiases(true, "the architecture", "self_attn.", "mlp.", "input_layernorm", "model.final_layernorm");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            Value n = g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm"));
            var (q, k, v) = b.Has(null, "attn_qkv.weight") ? Fused(g, b, n, heads, rope) : DecoderParts.Projections(g, b, n, heads, rope);
            Value a = g.Linear(g.Attention(q, k, v, heads.Attention()), b.Linear("self_attn.dense", "attn_output"));
            x = g.Add(g.Add(x, a), DecoderParts.Mlp(g, b, n, activation, "mlp.fc1", "mlp.fc2"));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        var bias = w.Get("lm_head.bias", "output.bias");
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.final_layernorm", "output_norm")), v => g.Linear(v, head, bias));
    }

    private static (Value Q, Value K, Value V) Fused(GraphBuilder g, WeightSource block, Value x, HeadLayout heads, RopeSpec rope)
    {
        var (q, k, v) = DecoderParts.SplitFused(g, g.Linear(x, block.Linear("", "attn_qkv")), heads, perHead: false);
        return (g.Rope(q, rope), g.Rope(k, rope with { Heads = heads.KvHeads }), v);
    }
}
