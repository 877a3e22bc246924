using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>Command R (Cohere 2024): attention and MLP in parallel under one LayerNorm without bias, neighboring rotary pairs, optional LayerNorm per head, scaled logits, tied head.</summary>
[Architecture("command-r", HuggingFace = "CohereForCausalLM")]
internal sealed class Cohere : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        double epsilon = c.Float("layer_norm_eps", "attention.layer_norm_epsilon");
        var norm = NormSpec.LayerNorm(epsilon);
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Neighbors);
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        double logitScale = c.FindFloat("logit_scale", "logit_scale") ?? 1;
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices);
        bool? normed = c.FindBool("use_qk_norm");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            Func<Value, Value>? QkNorm(string name, string gguf, int count) // one gain row a head: [heads, width]
                => QkGain(b, name, gguf) is { } gain ? v => g.Norm(v, NormSpec.LayerNorm(epsilon, count), new(new ReshapeWeight(gain, 1, count * heads.Width))) : null;
            Weight? QkGain(WeightSource block, string name, string gguf) => normed switch
            {
                true => block.Get($"{name}.weight"),
                false => null,
                null => block.InAllLayers($"{name}.weight", $"{gguf}.weight"),
            };
            Value n = g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm"));
            Value a = DecoderParts.Attention(g, b, n, heads, rope, heads.Attention(), QkNorm("self_attn.q_norm", "attn_q_norm", heads.Heads), QkNorm("self_attn.k_norm", "attn_k_norm", heads.KvHeads));
            x = g.Add(g.Add(x, a), DecoderParts.GatedMlp(g, b, n, activation));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Scale(g.Linear(v, head), logitScale));
    }
}
