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
        if (target is NormTarget.Static or NormTarget.None) Refuse(graph, target, n => n.Spec.Kind != NormKind.Static, (_, norm) => $"{norm.Spec.Kind} scales each row by its own size; replace it by an average first (tare norm freeze)");
        foreach (var pass in Passes(target, options))
        {
            bool done = pass is LayerNormToRmsNorm && target != NormTarget.Rms && !graph.Nodes.Any(n => n.Op is Norm { Spec: { SubtractsMean: true, Groups: 1 } }) && graph.Nodes.Any(n => n.Op is Norm);
            if (!done) graph = pass.Apply(graph, report);
        }
        report.Coordinates.ChangedNorms = target != NormTarget.Rms || options?.FoldAffine == true;
        report.Coordinates.ChangedQueriesAndKeys = report.Changes.Any(c => c.Pass == new QkCenter().Name);
        if (target == NormTarget.None) Refuse(graph, target, _ => true, (label, _) => report.Left.LastOrDefault(l => l.Node == label)?.What ?? "a static norm can't be folded");
        return graph;
    }

    private static void Refuse(Graph graph, NormTarget target, Func<Norm, bool> which, Func<string, Norm, string> reason)
    {
        for (int i = 0; i < graph.Nodes.Length; i++)
            if (graph.Nodes[i].Op is Norm norm && which(norm))
                throw new RewriteRefusedException(Targets.First(t => t.Value == target).Key, RewriteReport.Label(graph, i), reason(RewriteReport.Label(graph, i), norm));
    }
}
