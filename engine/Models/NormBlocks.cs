using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>Names of what stands around the sublayers of a block, in both formats.</summary>
/// <param name="Attention">The norm before attention.</param>
/// <param name="Mlp">The norm before the MLP.</param>
internal sealed record BlockNames((string HuggingFace, string Gguf) Attention, (string HuggingFace, string Gguf) Mlp);

/// <summary>The weights around attention that a bhyt-block needs.</summary>
internal readonly record struct AttentionWeights(Weight Output, Weight Values, int HeadWidth);

/// <summary>
/// Wires the blocks of a model as its <c>norm</c> section says: pre (x + f(Nx)), post (N(x + f(x))), sandwich (x + N'f(Nx)), parallel (x + f(Nx) + g(N₂x)), the first layers post (Mix-LN, arXiv 2412.13795), or with
/// attention over depth in place of the sum (arXiv 2603.15031). Without a section: pre.
/// </summary>
internal sealed class NormBlocks(GraphBuilder g, NormSection section, BlockNames names)
{
    private readonly List<Value> _depth = []; // embedding and outputs of all sublayers so far, for attention over depth

    /// <summary>What enters the first block: the embedding, scaled or shifted as the section says.</summary>
    public Value Begin(Value embedding, WeightSource w, string huggingFace, string gguf, int context)
    {
        Value x = embedding;
        if (w.Find($"{huggingFace}.scale", $"{gguf}.scale") is { } scale) x = g.Norm(x, new NormSpec(NormKind.Static, 1), new(new BroadcastWeight(scale, g.WidthOf(x))));
        if (section.Horn) x = g.Add(g.Append(new Center(), x), g.EmbedPositions(new HornWeight(context, g.WidthOf(x))));
        _depth.Add(x);
        return x;
    }

    /// <summary>One block; <paramref name="attention"/> and <paramref name="mlp"/> map what their norm gives to what is added.</summary>
    public Value Block(Value x, WeightSource b, int layer, Func<Value, Value> attention, Func<Value, Value> mlp, Func<AttentionWeights> weights)
    {
        if (section.Residual == "attention") return ByDepth(b, layer, attention, mlp);
        bool post = layer < section.PostLayers || section.Placement == "post", sandwich = !post && section.Placement == "sandwich";
        Value Norm(Value v, (string HuggingFace, string Gguf) name, (Value, Weight)? shared = null) => section.Apply(g, v, b, name.HuggingFace, name.Gguf, layer, shared);
        if (post)
        {
            x = Norm(g.Add(x, attention(x)), names.Attention);
            return Norm(g.Add(x, mlp(x)), names.Mlp);
        }
        Value a = attention(Norm(x, names.Attention));
        if (sandwich) a = Norm(a, ("attn_output_norm", "attn_output_norm"));
        Value after = g.Add(x, a);
        if (section.Phases) after = g.Append(new RotatePairs(b.Get("phase_rotation", "phase_rotation")), after);
        var shared = section.Kind == "bhyt-block" ? (x, Energy(b, weights())) : default((Value, Weight)?);
        Value m = mlp(Norm(section.Placement == "parallel" ? x : after, names.Mlp, shared));
        return g.Add(after, sandwich ? Norm(m, ("mlp_output_norm", "mlp_output_norm")) : m);
    }

    /// <summary>The stream behind the last block: with attention over depth the mixture that the final norm reads.</summary>
    public Value Close(Value x, WeightSource w) => section.Residual == "attention" ? Mix(w, "output_residual") : x;

    /// <summary>The final norm.</summary>
    public Value End(Value x, WeightSource w, string huggingFace, string gguf) => section.Apply(g, x, w, huggingFace, gguf, null);

    // Every sublayer reads a mixture of the embedding and all outputs before it; a block's output is that of its MLP.
    private Value ByDepth(WeightSource b, int layer, Func<Value, Value> attention, Func<Value, Value> mlp)
    {
        _depth.Add(attention(section.Apply(g, Mix(b, "attn_residual"), b, names.Attention.HuggingFace, names.Attention.Gguf, layer)));
        _depth.Add(mlp(section.Apply(g, Mix(b, "mlp_residual"), b, names.Mlp.HuggingFace, names.Mlp.Gguf, layer)));
        return _depth[^1];
    }

    private Value Mix(WeightSource b, string name)
        => g.AppendAll(new DepthAttention(b.Get($"{name}.query", $"{name}.query"), b.Find($"{name}.weight", $"{name}.weight"), 1e-6), [.. _depth])[0];

    private Weight Energy(WeightSource b, AttentionWeights w) => section.Energy(b, names.Attention.HuggingFace, names.Attention.Gguf, w.Output, w.Values, w.HeadWidth);
}
