using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;
using Tare.Rewrites;

namespace Tare.Diagnostics;

/// <summary>The norms that <c>tare norm bench</c> compares, as ops in place of a LayerNorm. The matrices of a model stay, so that only the norms differ; what it computes then is another model.</summary>
internal static class NormVariants
{
    private const double Epsilon = 1e-5;

    /// <summary>Names, as the command takes them.</summary>
    public static IReadOnlyList<string> Names { get; } = ["ln", "rms", "crms", "crms-isometric", "static", "dyt", "none"];

    /// <summary>The rows of a variant are stored in one coordinate less than those of the others.</summary>
    public static bool IsCompressed(string name) => name is "crms" or "crms-isometric";

    /// <summary>The op of a variant over rows that have <paramref name="width"/> elements before compression; null = none.</summary>
    public static Norm? Op(string name, int width) => name switch
    {
        "ln" => new Norm(new NormSpec(NormKind.LayerNorm, Epsilon), Vector("gain", width, 1), Vector("bias", width, 0)),
        "rms" => new Norm(new NormSpec(NormKind.RmsNorm, Epsilon), Vector("gain", width, 1), null),
        "crms" => new Norm(new NormSpec(NormKind.CompressedRmsNorm, Epsilon) { FullWidth = width }, null, null),
        "crms-isometric" => new Norm(new NormSpec(NormKind.IsometricCompressedRmsNorm, Epsilon) { FullWidth = width }, null, null),
        "static" => new Norm(new NormSpec(NormKind.Static, 1), Vector("gain", width, 1), null),
        "dyt" => new Norm(new NormSpec(NormKind.DynamicTanh, 0), Vector("gain", width, 1), null) { Alpha = new ConstantWeight("α", 1, 1, [0.5f]) },
        "none" => null,
        _ => throw new ArgumentException($"norm '{name}' is not known (known: {string.Join(", ", Names)})"),
    };

    /// <summary>LayerNorm as a library without fused kernels computes it: mean away, scale, gain, bias, each an op over all rows.</summary>
    public static ImmutableArray<Norm> Naive(Norm layerNorm) =>
    [
        new Norm(new NormSpec(NormKind.Static, 1, Center: true), null, null),
        new Norm(new NormSpec(NormKind.RmsNorm, layerNorm.Spec.Epsilon), null, null),
        .. layerNorm.Gain is null ? Array.Empty<Norm>() : [new Norm(new NormSpec(NormKind.Static, 1), layerNorm.Gain, null)],
        .. layerNorm.Bias is null ? Array.Empty<Norm>() : [new Norm(new NormSpec(NormKind.Static, 1), null, layerNorm.Bias)],
    ];

    /// <summary>A LayerNorm model with the variant in place of each of its norms; the compressed ones by the rewrite that keeps its logits. Throws <see cref="RewriteRefusedException"/>.</summary>
    public static Graph Apply(Graph graph, string name)
    {
        if (name == "ln") return graph;
        if (IsCompressed(name)) return NormRewrites.Apply(graph, NormRewrites.Targets[name], new RewriteReport(), new NormRewriteOptions { Drop = -1 });
        var ops = new Dictionary<int, Op>();
        var gone = new HashSet<int>();
        foreach (int i in Sites(graph))
            if (Op(name, graph.TypeOf(new Value(i)).Width) is { } op) ops[i] = op with { Gain = ((Norm)graph.Nodes[i].Op).Gain };
            else gone.Add(i);
        return GraphRebuild.WithOps(graph, ops, gone);
    }

    /// <summary>A LayerNorm model with <see cref="Naive"/> norms.</summary>
    public static Graph WithNaive(Graph graph)
    {
        var sites = Sites(graph).ToHashSet();
        return GraphRebuild.Run(graph, (rebuild, i, inputs) => sites.Contains(i) ? Naive((Norm)graph.Nodes[i].Op).Aggregate(inputs, (x, op) => rebuild.Append(op, graph.Nodes[i].Block, x)) : null);
    }

    private static IEnumerable<int> Sites(Graph graph) => Enumerable.Range(0, graph.Nodes.Length).Where(i => graph.Nodes[i].Op is Norm { Spec: { Kind: NormKind.LayerNorm, Groups: 1 } });

    private static ConstantWeight Vector(string name, int width, float center)
    {
        var values = new float[width];
        for (int i = 0; i < width; i++) values[i] = center + 0.01f * (i % 7 - 3);
        return new ConstantWeight(name, 1, width, values);
    }
}
