using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>Pieces that many decoders share: projections, rotation and attention; gated and plain MLPs.</summary>
internal static class DecoderParts
{
    /// <summary>Hugging Face names of the matrices that <c>attention_bias</c> is about.</summary>
    public static readonly string[] AttentionMatrices = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"];

    /// <summary>q, k and v of Llama-like names, rotated: [Rows, heads · width] each. Norms, if any, act on q and k before the rotation, or behind it.</summary>
    public static (Value Q, Value K, Value V) Projections(GraphBuilder g, WeightSource block, Value x, HeadLayout heads, RopeSpec? rope, Func<Value, Value>? normQ = null, Func<Value, Value>? normK = null, Func<Value, Value>? normV = null, bool normsAfterRotation = false)
    {
        var rotated = rope is null ? null : rope with { Heads = heads.KvHeads };
        Value q = g.Linear(x, block.Linear("self_attn.q_proj", "attn_q"));
        Value k = g.Linear(x, block.Linear("self_attn.k_proj", "attn_k"));
        Value v = g.Linear(x, block.Linear("self_attn.v_proj", "attn_v"));
        if (normsAfterRotation) (q, k) = (g.Rope(q, rope), g.Rope(k, rotated));
        if (normQ is not null) q = normQ(q);
        if (normK is not null) k = normK(k);
        if (normV is not null) v = normV(v);
        return normsAfterRotation ? (q, k, v) : (g.Rope(q, rope), g.Rope(k, rotated), v);
    }

    /// <summary>Projections, attention and output projection.</summary>
    public static Value Attention(GraphBuilder g, WeightSource block, Value x, HeadLayout heads, RopeSpec? rope, AttentionSpec spec, Func<Value, Value>? normQ = null, Func<Value, Value>? normK = null, Func<Value, Value>? normV = null, bool normsAfterRotation = false)
    {
        var (q, k, v) = Projections(g, block, x, heads, rope, normQ, normK, normV, normsAfterRotation);
        return g.Linear(g.Attention(q, k, v, spec), block.Linear("self_attn.o_proj", "attn_output"));
    }

    /// <summary>down(f(gate x) · up x).</summary>
    public static Value GatedMlp(GraphBuilder g, WeightSource block, Value x, ActivationKind activation, string huggingFace = "mlp", string gguf = "ffn", string suffix = "")
    {
        Value gate = g.Linear(x, block.Linear($"{huggingFace}.gate_proj", $"{gguf}_gate{suffix}"));
        Value up = g.Linear(x, block.Linear($"{huggingFace}.up_proj", $"{gguf}_up{suffix}"));
        return g.Linear(g.GatedActivate(gate, up, activation), block.Linear($"{huggingFace}.down_proj", $"{gguf}_down{suffix}"));
    }

    /// <summary>down(f(gate x) · up x), gate and up lying one behind the other in one matrix.</summary>
    public static Value FusedGatedMlp(GraphBuilder g, WeightSource block, Value x, ActivationKind activation)
    {
        Value both = g.Linear(x, block.Linear("mlp.gate_up_proj", "ffn_up"));
        int inner = g.WidthOf(both) / 2;
        var parts = g.Split(both, inner, g.WidthOf(both) - inner);
        return g.Linear(g.GatedActivate(parts[0], parts[1], activation), block.Linear("mlp.down_proj", "ffn_down"));
    }

    /// <summary>down(f(up x)) under the given names.</summary>
    public static Value Mlp(GraphBuilder g, WeightSource block, Value x, ActivationKind activation, string up, string down)
        => g.Linear(g.Activate(g.Linear(x, block.Linear(up, "ffn_up")), activation), block.Linear(down, "ffn_down"));

    /// <summary>A mixture of gated MLPs: router, chosen experts, weighted sum. Experts lie stacked in GGUF and apart in checkpoint folders.</summary>
    public static Value Mixture(GraphBuilder g, WeightSource block, Value x, RouterSpec spec, Weight router, Weight? correction, ActivationKind activation, string experts, string gate, string up, string down)
    {
        var chosen = g.AppendAll(new Router(spec, correction), g.Linear(x, router)); // ids, weights [Rows, used]
        Value Expert(Value input, string name, string gguf) => g.Append(new ExpertLinear(block.Stack(spec.Experts, e => $"{experts}.{e}.{name}.weight", $"{gguf}.weight"), null, spec.Experts), input, chosen[0]);
        Value hidden = g.GatedActivate(Expert(x, gate, "ffn_gate_exps"), Expert(x, up, "ffn_up_exps"), activation); // [Rows, used · inner]
        return g.Append(new CombineExperts(), Expert(hidden, down, "ffn_down_exps"), chosen[1]);
    }

    /// <summary>The choice of interleaved (per head q, k, v) or consecutive parts of a fused projection.</summary>
    public static (Value Q, Value K, Value V) SplitFused(GraphBuilder g, Value fused, HeadLayout heads, bool perHead)
    {
        int width = heads.Heads * heads.Width, kv = heads.KvHeads * heads.Width;
        var parts = perHead ? g.AppendAll(new SplitGroups(heads.Heads, [heads.Width, heads.Width, heads.Width]), fused) : g.Split(fused, width, kv, kv);
        return (parts[0], parts[1], parts[2]);
    }
}
