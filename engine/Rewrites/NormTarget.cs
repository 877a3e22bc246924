using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Rewrites;

/// <summary>What the norms of a model should become.</summary>
public enum NormTarget
{
    /// <summary>LayerNorm → RMSNorm.</summary>
    Rms,

    /// <summary>LayerNorm → RMSNorm → CRMSNorm.</summary>
    Crms,

    /// <summary>LayerNorm → RMSNorm → CRMSNorm in an isometric basis.</summary>
    CrmsIsometric,

    /// <summary>Norms that are static already lose ε and mean: y = g ⊙ x + b.</summary>
    Static,

    /// <summary>Norms that are static already disappear into the weights.</summary>
    None,
}

/// <summary>Choices of the passes.</summary>
public sealed record NormRewriteOptions
{
    /// <summary>Give a tied head a matrix of its own instead of centering rows where they are looked up.</summary>
    public bool Untie { get; init; }

    /// <summary>Fold gains and biases also for <see cref="NormTarget.Rms"/>; the compressed targets always do.</summary>
    public bool FoldAffine { get; init; }

    /// <summary>The coordinate that CRMSNorm does not store: null = the least harmful one, −1 = the last.</summary>
    public int? Drop { get; init; }

    /// <summary>Keep the row length of compressed streams by a zero coordinate.</summary>
    public bool Pad { get; init; }
}

/// <summary>The chain of passes for each target.</summary>
public static class NormRewrites
{
    /// <summary>Names of the targets, as commands take them.</summary>
    public static IReadOnlyDictionary<string, NormTarget> Targets { get; } = new Dictionary<string, NormTarget>(StringComparer.Ordinal)
    {
        ["rms"] = NormTarget.Rms,
        ["crms"] = NormTarget.Crms,
        ["crms-isometric"] = NormTarget.CrmsIsometric,
        ["static"] = NormTarget.Static,
        ["none"] = NormTarget.None,
    };

    /// <summary>The passes for a target, in order.</summary>
    public static IReadOnlyList<IRewrite> Passes(NormTarget target, NormRewriteOptions? options = null)
    {
        options ??= new NormRewriteOptions();
        int pad = options.Pad ? 1 : 0;
        IRewrite center = new LayerNormToRmsNorm(options.Untie);
        return target switch
        {
            NormTarget.Rms => options.FoldAffine ? [center, new QkCenter(), new FoldAffine()] : [center, new QkCenter()],
            NormTarget.Crms => [center, new QkCenter(), new FoldAffine(), new RmsNormToCompressed(options.Drop, pad)],
            NormTarget.CrmsIsometric => [center, new QkCenter(), new FoldAffine(), new RmsNormToIsometric(pad)],
            NormTarget.Static => [new HugeEpsilonToStatic(), center],
            _ => [new HugeEpsilonToStatic(), new LayerNormScalingFold(), new StaticFold(), new StaticAffineFold()],
        };
    }

    /// <summary>
    /// Runs the passes for a target. Throws <see cref="RewriteRefusedException"/> where the result would be another model, or still have norms that the target excludes. A stream that is centered already (a file
    /// that was rewritten before) skips the first step.
    /// </summary>
    public static Graph Apply(Graph graph, NormTarget target, RewriteReport report, NormRewriteOptions? options = null)
    {
        foreach (var pass in Passes(target, options))
        {
            bool done = pass is LayerNormToRmsNorm && target != NormTarget.Rms && !graph.Nodes.Any(n => n.Op is Norm { Spec: { SubtractsMean: true, Groups: 1 } }) && graph.Nodes.Any(n => n.Op is Norm);
            if (!done) graph = pass.Apply(graph, report);
        }
        if (target is NormTarget.Static or NormTarget.None) RefuseRest(graph, target, report);
        return graph;
    }

    private static void RefuseRest(Graph graph, NormTarget target, RewriteReport report)
    {
        var uses = new ValueUses(graph);
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            if (graph.Nodes[i].Op is not Norm norm || (target == NormTarget.Static && norm.Spec.Kind == NormKind.Static)) continue;
            string? left = report.Left.LastOrDefault(l => l.Node == RewriteReport.Label(graph, i))?.What;
            string reason = norm.Spec.Kind == NormKind.Static ? left ?? "a static norm can't be folded" : $"{norm.Spec.Kind} scales each row by its own size; replace it by an average first (tare norm freeze)";
            throw new RewriteRefusedException(target == NormTarget.Static ? "static" : "none", RewriteReport.Label(graph, i), reason);
        }
    }
}
