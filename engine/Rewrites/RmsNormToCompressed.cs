using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Rewrites;

/// <summary>
/// RMSNorm → CRMSNorm on a zero-mean stream (Jiang et al. 2023, arXiv 2305.14858): one coordinate j is minus the sum of the others, so it need not be stored. Writers lose row j, readers get W_c − W_j. Gains must
/// be folded first. The j that is least harmful is the one whose column the blocks' readers use least: subtracting it enlarges their weights, and their rounding errors, the least.
/// </summary>
/// <param name="drop">j; null = the least harmful one, −1 = the last, as in the paper.</param>
/// <param name="pad">Zero coordinates at the end, to keep row lengths that vectors and blocks of quantized types divide.</param>
public sealed class RmsNormToCompressed(int? drop = null, int pad = 0) : IRewrite
{
    /// <inheritdoc/>
    public string Name => "rms-to-crms";

    /// <inheritdoc/>
    public Graph Apply(Graph graph, RewriteReport report)
    {
        var uses = new ValueUses(graph);
        var linked = CompressedBasis.Stream(graph, uses, Name);
        int width = graph.TypeOf(graph.HiddenStates[0]).Width;
        int index = drop switch { null => LeastHarmful(graph), < 0 => width - 1, int given => given };
        if (index >= width) throw new RewriteRefusedException(Name, "", $"there is no coordinate {index} to drop (the stream has {width})");
        report.Change(Name, graph, graph.HiddenStates[0].Node, $"coordinate {index} of {width} is dropped");
        report.Coordinates.Drop(width, index, pad);
        var map = new RankOneMap(RankOneKind.Difference, width, index);
        return new CompressedBasis(NormKind.CompressedRmsNorm, (weight, blocks) => new DropOutputWeight(weight, index, blocks, pad), row => new DropInputWeight(row, index, pad),
            weight => new DropInputWeight(new MapInputWeight(weight, map), index, pad)).Apply(graph, uses, linked, Name, report);
    }

    /// <summary>The index with the smallest entry of <see cref="ColumnCosts"/>.</summary>
    public static int LeastHarmful(Graph graph)
    {
        double[] costs = ColumnCosts(graph);
        return Array.IndexOf(costs, costs.Min());
    }

    /// <summary>For each coordinate of the stream the sum over the blocks' readers of the squares in its column: [width].</summary>
    public static double[] ColumnCosts(Graph graph)
    {
        var linked = CompressedBasis.Stream(graph, new ValueUses(graph), "rms-to-crms");
        var costs = new double[graph.TypeOf(graph.HiddenStates[0]).Width];
        var row = new double[costs.Length];
        foreach (int node in linked.Readers.Select(u => u.Node).Distinct().Where(n => graph.Nodes[n].Block >= 0))
        {
            var weight = graph.Nodes[node].Op.Weights.First();
            weight.Prepare();
            for (long r = 0; r < weight.Rows; r++)
            {
                weight.Read(r, 1, row);
                for (int c = 0; c < costs.Length; c++) costs[c] += row[c] * row[c];
            }
        }
        return costs;
    }
}
