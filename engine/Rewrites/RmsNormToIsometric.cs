using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Rewrites;

/// <summary>
/// RMSNorm → isometric CRMSNorm on a zero-mean stream: the Householder reflection that turns the all-ones direction into the last coordinate leaves that one zero, so it need not be stored. Lengths and angles of
/// the stream stay, and with them the rounding errors of half precision. Gains must be folded first.
/// </summary>
/// <param name="pad">Zero coordinates at the end, to keep row lengths that vectors and blocks of quantized types divide.</param>
public sealed class RmsNormToIsometric(int pad = 0) : IRewrite
{
    /// <inheritdoc/>
    public string Name => "rms-to-crms-isometric";

    /// <inheritdoc/>
    public Graph Apply(Graph graph, RewriteReport report)
    {
        var uses = new ValueUses(graph);
        var linked = CompressedBasis.Stream(graph, uses, Name);
        int width = graph.TypeOf(graph.HiddenStates[0]).Width, last = width - 1;
        report.Coordinates.Reflect(width, pad);
        var map = new RankOneMap(RankOneKind.Householder, width);
        Weight Row(Weight row) => new DropInputWeight(new MapInputWeight(row, map), last, pad);
        return new CompressedBasis(NormKind.IsometricCompressedRmsNorm, (weight, blocks) => new DropOutputWeight(new MapOutputWeight(weight, map, blocks), last, blocks, pad), Row, Row)
            .Apply(graph, uses, linked, Name, report);
    }
}
