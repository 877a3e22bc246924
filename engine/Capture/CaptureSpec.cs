using Tare.Capture.Editing;
using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Capture;

/// <summary>What a capture takes.</summary>
public sealed record CaptureSpec
{
    /// <summary>Sites whose rows are recorded in statistics (<see cref="SiteSelector"/>), or null.</summary>
    public string? Statistics { get; init; }

    /// <summary>Whether statistics count every channel too: that needs the rows themselves.</summary>
    public bool Channels { get; init; }

    /// <summary>Sites whose rows are kept whole, or null.</summary>
    public string? Rows { get; init; }

    /// <summary>One or two directions [count, width] whose products with the rows go into the records, or null.</summary>
    public Weight? Probes { get; init; }

    /// <summary>
    /// While a model serves: whether requests may begin with cached positions, whose rows are then reported as missing. Otherwise such positions are computed again, so that no row is missing.
    /// </summary>
    public bool ReusePrefixes { get; init; }

    /// <summary>The outputs that a graph needs for it. Throws <see cref="ArgumentException"/> for names that the graph does not have.</summary>
    public CaptureGraph Apply(Graph graph) => Apply(graph, SiteMap.Of(graph), null);

    /// <summary>The same for the variant of a graph that edits; <paramref name="map"/> holds the sites of the graph without edits.</summary>
    internal CaptureGraph Apply(Graph graph, SiteMap map, EditedGraph? edited)
    {
        var wanted = new List<(Site, CaptureLevel)>();
        foreach (var site in Statistics is null ? [] : SiteSelector.Select(map, Statistics))
        {
            if (!site.IsHeads) wanted.Add((site, CaptureLevel.Record));
            if (site.IsHeads || Channels) wanted.Add((site, CaptureLevel.Rows));
        }
        foreach (var site in Rows is null ? [] : SiteSelector.Select(map, Rows))
            if (!wanted.Contains((site, CaptureLevel.Rows))) wanted.Add((site, CaptureLevel.Rows));
        if (wanted.Count == 0) throw new ArgumentException("the capture takes nothing: name sites for statistics or rows");
        return CaptureGraph.Create(edited?.Graph ?? graph, edited is null ? wanted : wanted.Select(w => (edited.Move(w.Item1), w.Item2)), Probes);
    }
}
