using Tare.Graphs;

namespace Tare.Models;

/// <summary>ALBERT (Lan et al. 2020, arXiv 1909.11942): BERT whose layers share their weights by groups, with narrower embeddings behind a projection.</summary>
[Architecture(HuggingFace = "AlbertForMaskedLM")]
[Architecture(HuggingFace = "AlbertModel")]
internal sealed class Albert : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        int count = c.Size("num_attention_heads"), layers = c.Size("num_hidden_layers"), groups = c.FindInt("num_hidden_groups") ?? 1, inner = c.FindInt("inner_group_num") ?? 1;
        if (groups < 1 || groups > layers) throw c.Error("num_hidden_groups", $"{groups} for {layers} layers");
        if (inner is < 1 or > 1 << 10) throw c.Error("inner_group_num", $"{inner} is not between 1 and 2^10");
        if (c.FindString("position_embedding_type") is string positions && positions != "absolute") throw c.Error("position_embedding_type", $"'{positions}' is not supported ('absolute' is)");
        var spec = new HeadLayout(count, count, c.Size("hidden_size") / count).Attention() with { Mask = AttentionMask.Bidirectional };
        var norm = NormSpec.LayerNorm(c.FindFloat("layer_norm_eps") ?? 1e-12);
        var activation = c.Activation("hidden_act", ActivationKind.GeluTanh, otherwise: "gelu_new");
        var t = w.OptionalPrefix("albert").WithBiases(true, "the architecture", "");
        var g = new GraphBuilder();

        var e = t.Scope("embeddings");
        var embedding = e.Get("word_embeddings.weight");
        Value x = g.Add(g.Embed(embedding), g.EmbedConstant(e.Get("token_type_embeddings.weight")));
        x = g.Norm(g.Add(x, g.EmbedPositions(e.Get("position_embeddings.weight"))), norm, e.Norm("LayerNorm")); // [Rows, embedding width]
        x = g.Linear(x, t.Linear("encoder.embedding_hidden_mapping_in"));                                   // [Rows, d]
        for (int i = 0; i < layers; i++)
        {
            using var _ = g.Block(x);
            for (int j = 0; j < inner; j++) x = Layer(g, t.Scope($"encoder.albert_layer_groups.{(long)i * groups / layers}.albert_layers.{j}"), x, spec, norm, activation);
        }
        if (!w.Has("predictions.dense.weight") && !w.Has("predictions.bias")) return g.Finish(x, v => v, null);
        var p = w.Scope("predictions").WithBiases(true, "the architecture", "");
        var head = p.Find("decoder.weight") is { } own && !c.Bool("tie_word_embeddings", true) ? own : embedding;
        return g.Finish(x, v => v, v => g.Linear(g.Norm(g.Activate(g.Linear(v, p.Linear("dense")), activation), norm, p.Norm("LayerNorm")), head, p.Get("bias")));
    }

    private static Value Layer(GraphBuilder g, WeightSource b, Value x, AttentionSpec spec, NormSpec norm, ActivationKind activation)
    {
        Value q = g.Linear(x, b.Linear("attention.query")), k = g.Linear(x, b.Linear("attention.key")), v = g.Linear(x, b.Linear("attention.value"));
        x = g.Norm(g.Add(x, g.Linear(g.Attention(q, k, v, spec), b.Linear("attention.dense"))), norm, b.Norm("attention.LayerNorm"));
        return g.Norm(g.Add(x, DecoderParts.Mlp(g, b, x, activation, "ffn", "ffn_output")), norm, b.Norm("full_layer_layer_norm"));
    }
}
