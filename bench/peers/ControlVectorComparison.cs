using System.Globalization;
using Tare.Capture;
using Tare.Capture.Editing;
using Tare.Formats;
using Tare.Graphs;

namespace Tare.Bench.Peers;

/// <summary>How far two sets of logits lie apart.</summary>
/// <param name="Kl">Mean over positions, nats.</param>
/// <param name="Largest">Largest |Δlogit|.</param>
internal sealed record Distance(double Kl, double Largest)
{
    /// <summary>Of <paramref name="b"/> from <paramref name="a"/>, both [tokens, vocabulary].</summary>
    public static Distance Of(float[] a, float[] b, int[] ids) => new(Agreement.Of(a, b, ids).MeanKl, a.Zip(b, (x, y) => Math.Abs((double)x - y)).Max());

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Kl:g2} ({Largest:g2})");
}

/// <summary>What a range of layers of a control vector gave.</summary>
/// <param name="Layers">The range, or <c>all</c>; <c>none</c> for the model itself.</param>
/// <param name="Effect">Tare with the vector from Tare without.</param>
/// <param name="Difference">llama.cpp with the vector from Tare with it.</param>
/// <param name="Later">llama.cpp with the vector from Tare with each direction a layer later: the comparison must see it.</param>
/// <param name="Earlier">The same a layer earlier.</param>
internal sealed record ControlVectorRow(string Layers, Distance? Effect, Distance Difference, Distance? Later, Distance? Earlier)
{
    private const double MostOfOthers = 0.1;

    /// <summary>KL without a vector: rounding, and 8-bit activations on one side.</summary>
    public required double Rounding { get; init; }

    /// <summary>Whether both do the same: they differ by less than a tenth of what the vector, or its place, makes. Null where rounding alone may make as much.</summary>
    public bool? IsSame => Smallest is not { } least || Difference.Kl <= MostOfOthers * least ? true : Rounding > MostOfOthers * least ? null : false;

    private double? Smallest => Effect is null ? null : Math.Min(Effect.Kl, Math.Min(Later!.Kl, Earlier!.Kl));
}

/// <summary>The same control vector, read from its file by each side, over an English sentence; Tare in F32 arithmetic.</summary>
internal static class ControlVectorComparison
{
    /// <summary>A row without a vector, then one for each range (null = all layers).</summary>
    public static List<ControlVectorRow> Compute(ModelFile file, Graph graph, Side peer, string path, float scale, (int First, int Last)?[] ranges, int threads)
    {
        var planner = new EditPlanner(graph);
        var vector = ControlVector.Read(path);
        int[] ids = Comparison.Sentence(file, graph.TypeOf(graph.FindOutput(GraphBuilder.LogitsOutput)!.Value).Width);
        float[] plain = Logits([]);
        var without = Distance.Of(plain, peer.Logits(ids), ids);
        var rows = new List<ControlVectorRow> { new("none", null, without, null, null) { Rounding = without.Kl } };
        foreach (var range in ranges)
        {
            float[] ours = Logits(vector.Edits(scale, graph.Blocks, range?.First, range?.Last, path)), theirs = peer.Logits(ids, new PeerControlVector(path, scale, range?.First, range?.Last));
            rows.Add(new(range is { } r ? $"{r.First}-{r.Last}" : "all", Distance.Of(plain, ours, ids), Distance.Of(ours, theirs, ids), Distance.Of(Logits(Moved(range, 1)), theirs, ids), Distance.Of(Logits(Moved(range, -1)), theirs, ids)) { Rounding = without.Kl });
        }
        return rows;

        IEnumerable<EditSpec> Moved((int First, int Last)? range, int by) => vector.Directions.Where(d => d.Key + by < graph.Blocks && (range is not { } r || (d.Key >= r.First && d.Key <= r.Last)))
            .Select(d => EditSpec.Add(SiteNames.ResidPost(d.Key + by), EditVectors.Same(d.Value.AsSpan()), scale));

        float[] Logits(IEnumerable<EditSpec> edits)
        {
            var tools = planner.ForTools(edits);
            return Comparison.Logits(tools?.Graph.Graph ?? graph, ids, threads, tools?.Edits);
        }
    }
}
