using System.Collections.Immutable;
using Tare.Graphs;

namespace Tare.Models;

/// <summary>MPT (MosaicML 2023): LayerNorm without bias, ALiBi, erf GELU, fused q, k, v, tied head.</summary>
[Architecture("mpt", HuggingFace = "MptForCausalLM")]
[Architecture(HuggingFace = "MPTForCausalLM")]
internal sealed class Mpt : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        int d = c.Size("d_model", "embedding_length"), count = c.Size("n_heads", "attention.head_count");
        var heads = new HeadLayout(count, c.FindInt(null, "attention.head_count_kv") ?? count, d / count);
        var attention = c.Section("attn_config");
        if (attention?.FindBool("qk_ln") == true || (attention?.FindFloat("clip_qkv") ?? c.FindFloat(null, "attention.clamp_kqv") ?? 0) > 0) throw c.Error("attn_config", "qk_ln and clip_qkv are not supported");
        var norm = NormSpec.LayerNorm(c.FindFloat("layer_norm_epsilon", "attention.layer_norm_epsilon") ?? 1e-5);
        var spec = heads.Attention(attention?.FindFloat("softmax_scale")) with { AlibiSlopes = Slopes(count, attention?.FindFloat("alibi_bias_max") ?? c.FindFloat(null, "attention.max_alibi_bias") ?? 8) };
        c.Record("attention.max_alibi_bias", attention?.FindFloat("alibi_bias_max") ?? 8);
        var t = w.OptionalPrefix("transformer");
        var g = new GraphBuilder();

        var embedding = t.Get("wte.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < c.Size("n_layers", "block_count"); i++)
        {
            var b = t.Scope($"blocks.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            var (q, k, v) = DecoderParts.SplitFused(g, g.Linear(g.Norm(x, norm, b.Norm("norm_1", "attn_norm")), b.Linear("attn.Wqkv", "attn_qkv")), heads, perHead: false);
            x = g.Add(x, g.Linear(g.Attention(q, k, v, spec), b.Linear("attn.out_proj", "attn_output")));
            x = g.Add(x, DecoderParts.Mlp(g, b, g.Norm(x, norm, b.Norm("norm_2", "ffn_norm")), ActivationKind.GeluErf, "ffn.up_proj", "ffn.down_proj"));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => g.Norm(v, norm, t.Norm("norm_f", "output_norm")), v => g.Linear(v, head));
    }

    // For head counts that are no power of two MPT takes every second slope of the next power first.
    private static ImmutableArray<double> Slopes(int heads, double maximumBias)
    {
        int power = 1;
        while (power < heads) power *= 2;
        double[] slopes = [.. Enumerable.Range(1, power).Select(h => Math.Pow(2, -maximumBias * h / power))];
        return power == heads ? [.. slopes] : [.. slopes.Where((_, i) => i % 2 == 1).Concat(slopes.Where((_, i) => i % 2 == 0)).Take(heads)];
    }
}
