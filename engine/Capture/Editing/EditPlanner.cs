using System.Collections.Immutable;
using Tare.Execution.Edits;
using Tare.Graphs;
using Tare.Rewrites;

namespace Tare.Capture.Editing;

/// <summary>Turns edits as people ask for them into entries of a model's edit table, and makes the graphs that apply them.</summary>
public sealed class EditPlanner
{
    private readonly Graph _graph;
    private readonly SiteMap _map;
    private readonly StreamCoordinates _coordinates;

    /// <summary>For a graph; where its norms were rewritten, <paramref name="coordinates"/> say how its stream stands to that of the file, whose coordinates edits are given in.</summary>
    public EditPlanner(Graph graph, StreamCoordinates? coordinates = null)
    {
        (_graph, _map, _coordinates) = (graph, SiteMap.Of(graph), coordinates ?? new StreamCoordinates());
        Sites = new EditableSites(_map);
    }

    /// <summary>The columns of the edit table.</summary>
    public EditableSites Sites { get; }

    /// <summary>All sites of the graph.</summary>
    public SiteMap Map => _map;

    /// <summary>The variant of the graph that edits these columns.</summary>
    public EditedGraph Edit(IEnumerable<int> columns) => EditedGraph.Create(_graph, Sites, columns);

    /// <summary>What a list of edits does, in order. Throws <see cref="EditException"/>, and <see cref="ArgumentException"/> with the nearest name for an unknown site.</summary>
    public EditEntry Resolve(IEnumerable<EditSpec> specs)
    {
        var selections = new List<RowSelection>();
        var operations = new List<EditOperation>();
        foreach (var spec in specs)
        {
            Check(spec);
            foreach (var site in SitesOf(spec))
                foreach (var vectors in VectorsOf(spec, site))
                {
                    int selection = IndexOf(selections, vectors is null || vectors.Rows == RowSelection.All ? spec.Rows : spec.Rows == RowSelection.All ? vectors.Rows : spec.Rows with { And = vectors.Rows });
                    foreach (var columns in ColumnsOf(spec, site))
                        foreach (var operation in EditArithmetic.Operations(spec, site with { Width = MappedEdits.SourceWidth(_coordinates, site) }, columns, vectors))
                            operations.Add(MappedEdits.Map(_coordinates, site, spec.Action, operation) with { Site = Sites.IndexOf(site), Selection = selection });
                }
        }
        return new EditEntry(operations, selections);
    }

    /// <summary>Edits for tools that run sequences one after the other: the graph's variant, with its entry. Null where the edits can change nothing.</summary>
    public (EditedGraph Graph, StepEdits Edits)? ForTools(IEnumerable<EditSpec> specs)
    {
        var entry = Resolve(specs);
        return entry.Operations.IsEmpty ? null : (Edit(entry.Sites), new StepEdits(entry, Sites.Table(1)));
    }

    private List<Site> SitesOf(EditSpec spec)
    {
        List<Site> selected = [.. SiteSelector.Select(_map, spec.Sites).Where(s => spec.Layers.IsEmpty || spec.Layers.Contains(s.Block))];
        if (selected.Count == 0) throw new EditException($"{spec.Sites}: no site in layers {string.Join(",", spec.Layers)} (the model has {_graph.Blocks} layers, counted from 0)");
        if (selected.Find(s => s.IsBefore) is { } before) throw new EditException($"{before.Name}: an edit has no {Site.BeforeSuffix}; it makes the difference");
        foreach (var site in selected)
        {
            _ = Sites.IndexOf(site);
            MappedEdits.Check(_coordinates, site, spec.Action);
        }
        return selected;
    }

    private static IEnumerable<SiteVectors?> VectorsOf(EditSpec spec, Site site)
    {
        if (spec.Vectors is null) return [null];
        return spec.Vectors.Of(site);
    }

    // Each set of columns is edited as a vector of its own.
    private IEnumerable<ImmutableArray<ColumnRange>> ColumnsOf(EditSpec spec, Site site)
    {
        if (!spec.Heads.IsEmpty)
        {
            int heads = SiteHeads.Of(_graph, site), headWidth = heads == 0 ? 0 : site.Width / heads;
            if (heads == 0) throw new EditException($"{site.Name} has no heads (hook_q, hook_k, hook_v and hook_z of attention have)");
            foreach (int head in spec.Heads.Distinct().Order())
                yield return head >= 0 && head < heads ? [new ColumnRange(head * headWidth, headWidth)] : throw new EditException($"{site.Name} has no head {head} (it has 0 … {heads - 1})");
            yield break;
        }
        if (spec.Channels.IsEmpty)
        {
            yield return [new ColumnRange(0, MappedEdits.SourceWidth(_coordinates, site))];
            yield break;
        }
        int width = MappedEdits.SourceWidth(_coordinates, site);
        var ranges = ImmutableArray.CreateBuilder<ColumnRange>();
        foreach (int channel in spec.Channels.Distinct().Order())
        {
            if (channel < 0 || channel >= width) throw new EditException($"{site.Name} has no channel {channel} (it has 0 … {width - 1})");
            if (ranges.Count > 0 && ranges[^1].First + ranges[^1].Count == channel) ranges[^1] = ranges[^1] with { Count = ranges[^1].Count + 1 };
            else ranges.Add(new ColumnRange(channel, 1));
        }
        yield return ranges.ToImmutable();
    }

    private static void Check(EditSpec spec)
    {
        bool plain = spec.Action is EditAction.Zero or EditAction.Scale;
        if (plain != spec.Vectors is null) throw new EditException(plain ? $"{spec.Action} at {spec.Sites} takes no vectors" : $"{spec.Action} at {spec.Sites} needs vectors");
        if (spec.Vectors?.OnlyFor is { } only && only != spec.Action) throw new EditException($"{spec.Action} at {spec.Sites}: what is given is for {only}");
        if (spec.Action is EditAction.Patch && spec.Vectors!.OnlyFor is null) throw new EditException($"Patch at {spec.Sites} needs the rows of another run");
        if (!double.IsFinite(spec.Strength) || !double.IsFinite(spec.Factor)) throw new EditException($"{spec.Action} at {spec.Sites}: strength {spec.Strength} or factor {spec.Factor} is no number");
        bool bounded = !double.IsNegativeInfinity(spec.Minimum) || !double.IsPositiveInfinity(spec.Maximum);
        if (bounded != spec.Action is EditAction.Clamp) throw new EditException(bounded ? $"{spec.Action} at {spec.Sites} takes no bounds" : $"Clamp at {spec.Sites} needs a minimum or a maximum");
        if (double.IsNaN(spec.Minimum) || double.IsNaN(spec.Maximum) || spec.Minimum > spec.Maximum) throw new EditException($"Clamp at {spec.Sites}: the minimum {spec.Minimum} is above the maximum {spec.Maximum}");
        if (!spec.Heads.IsEmpty && !spec.Channels.IsEmpty) throw new EditException($"{spec.Sites}: give heads or channels, not both");
    }

    private static int IndexOf(List<RowSelection> selections, RowSelection wanted)
    {
        int index = selections.IndexOf(wanted);
        if (index >= 0) return index;
        selections.Add(wanted);
        return selections.Count - 1;
    }
}
