using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Models;

/// <summary>
/// OpenELM (Mehta et al. 2024, arXiv 2404.14619): Llama's blocks with RMSNorm per head on q and k, where each layer has its own number of heads and its own MLP width; fused q, k, v and fused gate and up; tied head.
/// </summary>
[Architecture("openelm", HuggingFace = "OpenELMForCausalLM")]
internal sealed class OpenElm : IArchitecture
{
    private const double Epsilon = 1e-6; // config.json has no key for it

    public Graph Build(Config c, WeightSource w)
    {
        int d = c.Size("model_dim", "embedding_length"), layers = c.Size("num_transformer_layers", "block_count"), width = c.Size("head_dim", "attention.key_length");
        int[] queries = c.Sizes("num_query_heads", "attention.head_count", layers), keys = c.Sizes("num_kv_heads", "attention.head_count_kv", layers);
        int[] inner = c.IsGguf ? c.Sizes("", "feed_forward_length", layers) : InnerWidths(c, d, layers);
        if (c.FindString("normalization_layer_name") is string name && name != "rms_norm") throw c.Error("normalization_layer_name", $"'{name}' is not supported ('rms_norm' is)");
        if (!c.Bool("ffn_with_glu", true)) throw c.Error("ffn_with_glu", "false is not supported");
        double epsilon = c.FindFloat(null, "attention.layer_norm_rms_epsilon") ?? Epsilon;
        var norm = NormSpec.RmsNorm(epsilon);
        double theta = c.FindFloat("rope_freq_constant") ?? 10000;
        var activation = c.Activation("activation_fn_name", ActivationKind.Silu, otherwise: "swish");
        bool normed = c.IsGguf || c.Bool("normalize_qk_projections", true);
        var t = w.OptionalPrefix("transformer");
        var g = new GraphBuilder();

        var embedding = t.Get("token_embeddings.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < layers; i++)
        {
            if (queries[i] % keys[i] != 0) throw c.Error(c.IsGguf ? "attention.head_count_kv" : "num_kv_heads", $"{keys[i]} does not divide the {queries[i]} heads of layer {i}");
            var heads = new HeadLayout(queries[i], keys[i], width);
            var rope = RopeScaling.Read(c, w, heads.Heads, width, width, RopePairing.Halves, defaultBase: theta);
            var b = t.Scope($"layers.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            var (q, k, v) = DecoderParts.SplitFused(g, g.Linear(g.Norm(x, norm, b.Norm("attn_norm", "attn_norm")), b.Linear("attn.qkv_proj", "attn_qkv")), heads, perHead: false);
            if (normed) (q, k) = (g.Norm(q, NormSpec.RmsNorm(epsilon, groups: heads.Heads), b.Norm("attn.q_norm", "attn_q_norm")), g.Norm(k, NormSpec.RmsNorm(epsilon, groups: heads.KvHeads), b.Norm("attn.k_norm", "attn_k_norm")));
            Value a = g.Attention(g.Rope(q, rope), g.Rope(k, rope with { Heads = heads.KvHeads }), v, heads.Attention());
            x = g.Add(x, g.Linear(a, b.Linear("attn.out_proj", "attn_output")));
            x = g.Add(x, Mlp(g, b, g.Norm(x, norm, b.Norm("ffn_norm", "ffn_norm")), inner[i], activation));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("share_input_output_layers", true));
        return g.Finish(x, v => g.Norm(v, norm, t.Norm("norm", "output_norm")), v => g.Linear(v, head));
    }

    private static Value Mlp(GraphBuilder g, WeightSource b, Value x, int inner, ActivationKind activation)
    {
        if (b.IsGguf) return DecoderParts.GatedMlp(g, b, x, activation);
        var parts = g.Split(g.Linear(x, b.Linear("ffn.proj_1")), inner, inner);
        return g.Linear(g.GatedActivate(parts[0], parts[1], activation), b.Linear("ffn.proj_2"));
    }

    // One multiplier a layer, or the first and the last with a line between; widths are rounded to the divisor, but never down by more than a tenth.
    private static int[] InnerWidths(Config c, int d, int layers)
    {
        double[] multipliers = c.FindFloats("ffn_multipliers") ?? throw c.Error("ffn_multipliers", "is missing");
        if (multipliers.Length == 2 && layers != 2) multipliers = [.. Enumerable.Range(0, layers).Select(i => Math.Round(multipliers[0] + (multipliers[1] - multipliers[0]) * i / Math.Max(1, layers - 1), 2))];
        if (multipliers.Length != layers) throw c.Error("ffn_multipliers", $"{multipliers.Length} entries for {layers} layers");
        int divisor = c.FindInt("ffn_dim_divisor") ?? 256;
        if (divisor < 1) throw c.Error("ffn_dim_divisor", $"{divisor} is not > 0");
        return [.. multipliers.Select(m =>
        {
            double wanted = m * d;
            if (!(wanted is > 0 and <= 1 << 24)) throw c.Error("ffn_multipliers", $"{m} times {d} is not between 1 and 2^24");
            int rounded = Math.Max(divisor, (int)(wanted + divisor / 2.0) / divisor * divisor);
            return rounded < 0.9 * wanted ? rounded + divisor : rounded;
        })];
    }
}
