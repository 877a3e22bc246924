using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Rewrites;

/// <summary>
/// LayerNorm → RMSNorm, exact: LN(x) = RMS(Cx) with C = I − 11ᵀ/d, so centering everything that writes the residual stream removes the mean from every norm that reads it (Jiang et al. 2023, arXiv 2305.14858,
/// section 3). Gain, bias and ε stay. A centered static norm loses its mean subtraction in the same way. Refuses as a whole where one norm can't go.
/// </summary>
/// <param name="untie">Give the head a table of its own instead of centering rows where they are looked up.</param>
public sealed class LayerNormToRmsNorm(bool untie = false) : IRewrite
{
    /// <inheritdoc/>
    public string Name => "ln-to-rms";

    /// <inheritdoc/>
    public Graph Apply(Graph graph, RewriteReport report)
    {
        if (!graph.Nodes.Any(n => n.Op is Norm { Spec: { SubtractsMean: true, Groups: 1 } }))
            throw StreamObstacle(graph) is { } obstacle
                ? new RewriteRefusedException(Name, RewriteReport.Label(graph, obstacle.Node), $"no norm subtracts a mean, and the stream can't be centered: {obstacle.Reason}")
                : new RewriteRefusedException(Name, "", "no norm subtracts a mean");
        if (StreamObstacle(graph) is { } against) throw new RewriteRefusedException(Name, RewriteReport.Label(graph, against.Node), against.Reason);
        // The last norm first: an embedding norm that it takes into a table must still be as the file has it.
        for (int index; (index = Last(graph)) >= 0;)
        {
            var uses = new ValueUses(graph);
            var linked = LinkedValues.From(graph, uses, graph.Nodes[index].Inputs[0], new CenterRule(1));
            if (linked.Obstacles.Count > 0) throw new RewriteRefusedException(Name, RewriteReport.Label(graph, linked.Obstacles[0].Node), linked.Obstacles[0].Reason);
            if (!graph.HiddenStates.IsEmpty && linked.Values.Contains(graph.HiddenStates[0])) report.Coordinates.Center(graph.TypeOf(graph.HiddenStates[0]).Width);
            graph = StreamCentering.Apply(graph, uses, linked, 1, untie, Name, report);
        }
        return graph;
    }

    /// <summary>What keeps the residual stream from losing its mean; null where nothing does, or where there is no stream.</summary>
    internal static Obstacle? StreamObstacle(Graph graph)
        => graph.HiddenStates.IsEmpty ? null : LinkedValues.From(graph, new ValueUses(graph), graph.HiddenStates[0], new CenterRule(1)).Obstacles is [var first, ..] ? first : null;

    private static int Last(Graph graph)
    {
        for (int i = graph.Nodes.Length - 1; i >= 0; i--)
            if (graph.Nodes[i].Op is Norm { Spec: { SubtractsMean: true, Groups: 1 } }) return i;
        return -1;
    }
}
