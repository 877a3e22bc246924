using Tare.Graphs;

namespace Tare.Rewrites;

/// <summary>
/// Norms that are y = a ⊙ x + b at inference disappear into the products that read them: BatchNorm, RepBN (arXiv 2405.11582), Unified Normalization (arXiv 2208.01313), frozen norms of a centered stream.
/// </summary>
public sealed class StaticAffineFold : IRewrite
{
    /// <inheritdoc/>
    public string Name => "static-affine-fold";

    /// <inheritdoc/>
    public Graph Apply(Graph graph, RewriteReport report) => StaticFold.Fold(graph, report, Name, centered: false);
}
