using Tare.Graphs;

namespace Tare.Models;

/// <summary>BERT (Devlin et al. 2019): post-LayerNorm encoder, erf GELU, masked-language-model head where the file has one.</summary>
[Architecture("bert", HuggingFace = "BertForMaskedLM")]
[Architecture(HuggingFace = "BertModel")]
internal sealed class Bert : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        if (c.FindString("position_embedding_type") is string positions && positions != "absolute") throw c.Error("position_embedding_type", $"'{positions}' is not supported ('absolute' is)");
        int count = c.Size("num_attention_heads", "attention.head_count");
        var heads = new HeadLayout(count, count, c.Size("hidden_size", "embedding_length") / count);
        var spec = heads.Attention() with { Mask = AttentionMask.Bidirectional };
        var norm = NormSpec.LayerNorm(c.Float("layer_norm_eps", "attention.layer_norm_epsilon"));
        var activation = c.Activation("hidden_act", ActivationKind.GeluErf);
        var t = w.OptionalPrefix("bert").WithBiases(true, "the architecture", "");
        var g = new GraphBuilder();

        var e = t.Scope("embeddings");
        var embedding = e.Get("word_embeddings.weight", "token_embd.weight");
        Value x = g.Add(g.Embed(embedding), g.EmbedConstant(e.Get("token_type_embeddings.weight", "token_types.weight")));
        x = g.Norm(g.Add(x, g.EmbedPositions(e.Get("position_embeddings.weight", "position_embd.weight"))), norm, e.Norm("LayerNorm", "token_embd_norm")); // [Rows, d]
        for (int i = 0; i < c.Size("num_hidden_layers", "block_count"); i++)
        {
            var b = t.Scope($"encoder.layer.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            Value q = g.Linear(x, b.Linear("attention.self.query", "attn_q"));
            Value k = g.Linear(x, b.Linear("attention.self.key", "attn_k"));
            Value v = g.Linear(x, b.Linear("attention.self.value", "attn_v"));
            x = g.Norm(g.Add(x, g.Linear(g.Attention(q, k, v, spec), b.Linear("attention.output.dense", "attn_output"))), norm, b.Norm("attention.output.LayerNorm", "attn_output_norm"));
            x = g.Norm(g.Add(x, DecoderParts.Mlp(g, b, x, activation, "intermediate.dense", "output.dense")), norm, b.Norm("output.LayerNorm", "layer_output_norm"));
        }
        if (!w.Has("cls.predictions.transform.dense.weight") && !w.Has("cls.predictions.bias")) return g.Finish(x, v => v, null);
        var p = w.Scope("cls.predictions").WithBiases(true, "the architecture", "");
        var head = w.Head("cls.predictions.decoder.weight", embedding, c.Bool("tie_word_embeddings", true));
        return g.Finish(x, v => v, v =>
        {
            Value h = g.Activate(g.Linear(v, p.Linear("transform.dense")), activation);
            return g.Linear(g.Norm(h, norm, p.Norm("transform.LayerNorm")), head, p.Get("bias"));
        });
    }
}
