using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>gpt-oss (OpenAI 2025, arXiv 2508.10925): RMSNorm, biases, attention sinks, alternating windows, experts with a clamped gated unit.</summary>
/// <remarks>Checkpoints hold expert matrices as [experts, in, out], gate and up columns in turn. Those with MXFP4 blocks (<c>gate_up_proj_blocks</c>) are not supported.</remarks>
[Architecture(HuggingFace = "GptOssForCausalLM")]
internal sealed class GptOss : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves);
        int layers = c.Size("num_hidden_layers"), window = c.Int("sliding_window"), experts = c.Size("num_local_experts"), used = c.Size("num_experts_per_tok"), inner = c.Size("intermediate_size");
        bool[] windowed = c.WindowedLayers(layers) ?? [.. Enumerable.Range(0, layers).Select(i => i % 2 == 0)];
        var unit = new ClampedGlu(c.FindFloat("swiglu_alpha") ?? 1.702, c.FindFloat("swiglu_limit") ?? 7);
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < layers; i++)
        {
            var b = w.Scope($"model.layers.{i}");
            using var _ = g.Block(x);
            var spec = heads.Attention(window: windowed[i] ? window : null) with { Sinks = b.Get("self_attn.sinks") };
            x = g.Add(x, DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm")), heads, rope, spec));
            Value n = g.Norm(x, norm, b.Norm("post_attention_layernorm"));
            // Softmax over the chosen experts only: the same as over all, then divided by the sum of the chosen.
            var chosen = g.AppendAll(new Router(new RouterSpec(experts, used, RouterScore.Softmax, Normalize: true)), g.Linear(n, b.Linear("mlp.router")));
            Value both = g.Append(new ExpertLinear(new TransposeWeight(b.Get("mlp.experts.gate_up_proj"), experts), b.Find("mlp.experts.gate_up_proj_bias"), experts), n, chosen[0]); // [Rows, used · 2 inner]
            var parts = g.AppendAll(new SplitGroups(used * inner, [1, 1]), both);
            Value down = g.Append(new ExpertLinear(new TransposeWeight(b.Get("mlp.experts.down_proj"), experts), b.Find("mlp.experts.down_proj_bias"), experts), g.Append(unit, parts[0], parts[1]), chosen[0]);
            x = g.Add(x, g.Append(new CombineExperts(), down, chosen[1]));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm")), v => g.Linear(v, head));
    }
}
