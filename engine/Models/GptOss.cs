using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>gpt-oss (OpenAI 2025, arXiv 2508.10925): RMSNorm, biases, attention sinks, alternating windows, experts with a clamped gated unit.</summary>
/// <remarks>
/// Checkpoints hold expert matrices as [experts, in, out], or in the published form as MXFP4 blocks and scales [experts, out, …], gate and up outputs in turn; GGUF files hold them apart, as [experts, out, in].
/// YaRN's ramp is not rounded to whole pairs.
/// </remarks>
[Architecture("gpt-oss", HuggingFace = "GptOssForCausalLM")]
internal sealed class GptOss : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves, truncate: !c.IsGguf);
        int layers = c.Size("num_hidden_layers", "block_count"), window = c.Int("sliding_window", "attention.sliding_window"), experts = c.Size("num_local_experts", "expert_count"), used = c.Size("num_experts_per_tok", "expert_used_count");
        bool[] windowed = c.WindowedLayers(layers, 2);
        var unit = new ClampedGlu(c.FindFloat("swiglu_alpha") ?? 1.702, c.FindFloat("swiglu_limit") ?? 7);
        w = w.WithBiases(c.FindBool("attention_bias"), "attention_bias", DecoderParts.AttentionMatrices).WithBiases(true, "the architecture", "mlp.router");
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < layers; i++)
        {
            var b = w.Scope($"model.layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            var spec = heads.Attention(window: windowed[i] ? window : null) with { Sinks = b.Get("self_attn.sinks", "attn_sinks.weight") };
            x = g.Add(x, DecoderParts.Attention(g, b, g.Norm(x, norm, b.Norm("input_layernorm", "attn_norm")), heads, rope, spec));
            Value n = g.Norm(x, norm, b.Norm("post_attention_layernorm", "post_attention_norm"));
            // Softmax over the chosen experts only: the same as over all, then divided by the sum of the chosen.
            var chosen = g.AppendAll(new Router(new RouterSpec(experts, used, RouterScore.Softmax, Normalize: true)), g.Linear(n, b.Linear("mlp.router", "ffn_gate_inp")));
            LinearWeights[] input = Experts(b, experts, "gate_up_proj", "ffn_gate_exps", "ffn_up_exps"), output = Experts(b, experts, "down_proj", "ffn_down_exps");
            Value inner = g.Append(unit, Expert(n, input[0]), Expert(n, input[1]));                         // [Rows, used · inner]
            x = g.Add(x, g.Append(new CombineExperts(), Expert(inner, output[0]), chosen[1]));

            Value Expert(Value from, LinearWeights w) => g.Append(new ExpertLinear(w.Weight, w.Bias, experts), from, chosen[0]);
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }

    // Matrices [experts · out, in] and biases [experts, out] under GGUF's names; a checkpoint holds them as one tensor whose outputs take turns.
    private static LinearWeights[] Experts(WeightSource b, int experts, string name, params string[] gguf)
    {
        if (b.IsGguf) return [.. gguf.Select(g => new LinearWeights(b.Get(null, $"{g}.weight"), b.Get(null, $"{g}.bias")))];
        string path = $"mlp.experts.{name}";
        int parts = gguf.Length;
        Weight matrices = b.Find($"{path}_blocks") is { } blocks ? new MicroscaledWeight(blocks, b.Get($"{path}_scales")) : new TransposeWeight(b.Get(path), experts), biases = b.Get($"{path}_bias");
        var column = new ReshapeWeight(biases, biases.Rows * biases.Width, 1);
        return [.. gguf.Select((g, part) =>
        {
            var own = new SliceWeight(matrices, part, matrices.Rows / parts, parts);
            var bias = new ReshapeWeight(new SliceWeight(column, part, column.Rows / parts, parts), experts, biases.Width / parts);
            return new LinearWeights(b.AsStored($"{g}.weight", own, experts, own.Rows / experts, own.Width), b.AsStored($"{g}.bias", bias, experts, bias.Width));
        })];
    }
}
