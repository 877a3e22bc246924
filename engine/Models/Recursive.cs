using Tare.Graphs;

namespace Tare.Models;

/// <summary>
/// A decoder that runs fewer blocks than it is deep: matrices are shared between depths, norms are not. With one block of experts it is WideNet (Xue et al. 2021, arXiv 2107.11817); with several, in order or in
/// turn, a recursive transformer (Takase and Kiyono 2021, arXiv 2104.06022; Bae et al. 2024, arXiv 2410.20672). Llama's parts otherwise.
/// </summary>
/// <remarks>Matrices lie under the number of the shared block, norms under the depth. GGUF rows of q and k are not permuted.</remarks>
[Architecture("recursive", HuggingFace = "RecursiveForCausalLM")]
internal sealed class Recursive : IArchitecture
{
    public Graph Build(Config c, WeightSource w)
    {
        int depth = c.Size("num_hidden_layers", "block_count"), blocks = c.Size("num_shared_layers", "shared_block_count"), experts = c.FindInt("num_experts", "expert_count") ?? 0;
        if (blocks > depth) throw c.Error(c.IsGguf ? "shared_block_count" : "num_shared_layers", $"{blocks} blocks for {depth} layers");
        string sharing = c.FindString("layer_sharing", "layer_sharing") ?? "cycle";
        if (sharing is not ("cycle" or "sequence")) throw c.Error("layer_sharing", $"'{sharing}' is not known (known: cycle, sequence)");
        var heads = HeadLayout.Read(c);
        var norm = NormSpec.RmsNorm(c.Float("rms_norm_eps", "attention.layer_norm_rms_epsilon"));
        var rope = RopeScaling.Read(c, w, heads.Heads, heads.Width, heads.Width, RopePairing.Halves);
        var activation = c.Activation("hidden_act", ActivationKind.Silu);
        var router = experts == 0 ? null : new RouterSpec(experts, c.Size("num_experts_per_tok", "expert_used_count"), RouterScore.Softmax, Normalize: c.FindBool("norm_topk_prob", "expert_weights_norm") ?? true);
        var g = new GraphBuilder();

        var embedding = w.Get("model.embed_tokens.weight", "token_embd.weight");
        Value x = g.Embed(embedding);                                                                       // [Rows, d]
        for (int i = 0; i < depth; i++)
        {
            long block = sharing == "cycle" ? i % blocks : (long)i * blocks / depth;
            WeightSource b = w.Scope($"model.layers.{block}", $"blk.{block}"), norms = w.Scope($"model.norms.{i}", $"blk.{i}");
            using var _ = g.Block(x);
            x = g.Add(x, DecoderParts.Attention(g, b, g.Norm(x, norm, norms.Norm("input_layernorm", "attn_norm")), heads, rope, heads.Attention()));
            Value m = g.Norm(x, norm, norms.Norm("post_attention_layernorm", "ffn_norm"));
            x = g.Add(x, router is null ? DecoderParts.GatedMlp(g, b, m, activation)
                : DecoderParts.Mixture(g, b, m, router, b.Get("mlp.gate.weight", "ffn_gate_inp.weight"), null, activation, "mlp.experts", gate: "gate_proj", up: "up_proj", down: "down_proj"));
        }
        var head = w.Head("lm_head.weight", embedding, c.Bool("tie_word_embeddings", false));
        return g.Finish(x, v => g.Norm(v, norm, w.Norm("model.norm", "output_norm")), v => g.Linear(v, head));
    }
}
