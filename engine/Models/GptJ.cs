using Tare.Graphs;

namespace Tare.Models;

/// <summary>GPT-J (Wang and Komatsuzaki 2021): attention and MLP in parallel under one LayerNorm, neighboring rotary pairs over a part of the head, tanh GELU, a head with bias.</summary>
[Architecture("gptj", HuggingFace = "GPTJForCausalLM")]
internal sealed class GptJ : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        int d = c.Size("n_embd", "embedding_length"), count = c.Size("n_head", "attention.head_count");
        var heads = new HeadLayout(count, count, d / count);
        var norm = NormSpec.LayerNorm(c.Float("layer_norm_epsilon", "attention.layer_norm_epsilon"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, c.FindInt("rotary_dim", "rope.dimension_count") ?? heads.Width, RopePairing.Neighbors);
        var activation = c.Activation("activation_function", ActivationKind.GeluTanh);
        var t = w.OptionalPrefix("transformer").WithBiases(true, "the architecture", "ln_", "mlp.").WithBiases(false, "the architecture", "attn.");
        var g = new GraphBuilder();

        var embedding = t.Get("wte.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("n_layer", "block_count"); i++)
        {
            var b = t.Scope($"h.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            Value n = g.Norm(x, norm, b.Norm("ln_1", "attn_norm"));
            Value q = g.Rope(g.Linear(n, b.Linear("attn.q_proj", "attn_q")), rope), k = g.Rope(g.Linear(n, b.Linear("attn.k_proj", "attn_k")), rope), v = g.Linear(n, b.Linear("attn.v_proj", "attn_v"));
            Value a = g.Linear(g.Attention(q, k, v, heads.Attention()), b.Linear("attn.out_proj", "attn_output"));
            x = g.Add(g.Add(x, a), DecoderParts.Mlp(g, b, n, activation, "mlp.fc_in", "mlp.fc_out"));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        var bias = w.Get("lm_head.bias", "output.bias");
        return g.Finish(x, v => g.Norm(v, norm, t.Norm("ln_f", "output_norm")), v => g.Linear(v, head, bias));
    }
}
