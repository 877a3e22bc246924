using System.Collections.Immutable;
using Tare.Capture.Statistics;
using Tare.Execution.Edits;

namespace Tare.Capture.Editing;

/// <summary>
/// Channel means of a statistics file that was captured with channels. Without a group each row gets the mean of its own (position 0, 1 – 15, the rest; prompt or generated), since these are never thrown together; a
/// group without rows falls back on the prompt's of the same positions, then on all rows.
/// </summary>
/// <param name="File">The statistics.</param>
/// <param name="Group">One of <see cref="RowGroup.Names"/> for all rows, <c>all</c> for the mean over all groups, or null for each row's own.</param>
public sealed record MeansBySite(StatisticsFile File, string? Group = null) : EditVectors
{
    /// <summary>The name of the mean over all groups.</summary>
    public const string AllGroups = "all";

    internal override EditAction? OnlyFor => EditAction.Mean;

    /// <summary>The mean of a site over some groups, each row counting once, or null where they have no rows. Throws <see cref="EditException"/> where the file has no channel means of the site.</summary>
    internal static ImmutableArray<double>? Mean(StatisticsFile file, string site, Func<int, bool> groups)
    {
        var statistics = file.Sites.FirstOrDefault(s => s.Site.Name == site) ?? throw new EditException($"{file.Path} has no statistics of {site}");
        if (statistics.Channels is not { } channels) throw new EditException($"{file.Path} has no channel means of {site}: capture with --channels");
        var all = new ChannelMoments(statistics.Site.Width);
        for (int g = 0; g < channels.Length; g++)
            if (groups(g)) all.Merge(channels[g]);
        return all.Count == 0 ? null : [.. all.Mean];
    }

    /// <summary>The number of a group by its name. Throws <see cref="EditException"/>.</summary>
    internal static Func<int, bool> Groups(string name)
    {
        if (name == AllGroups) return _ => true;
        int index = RowGroup.Names.IndexOf(name);
        return index >= 0 ? g => g == index : throw new EditException($"group '{name}' is not one of {string.Join(", ", RowGroup.Names)}, {AllGroups}");
    }

    internal override IReadOnlyList<SiteVectors> Of(Site site)
    {
        if (File.Metadata.GetValueOrDefault("tare.coordinates") is { } coordinates and not "raw") throw new EditException($"{File.Path} holds statistics in {coordinates} coordinates; edits take those of the model file (raw)");
        if (Group is not null) return [new SiteVectors(Mean(File, site.Name, Groups(Group)) ?? throw new EditException($"{File.Path}: group {Group} of {site.Name} has no rows"))];
        var all = Mean(File, site.Name, _ => true) ?? throw new EditException($"{File.Path}: {site.Name} has no rows");
        int prompts = RowGroup.Count / 2;
        return [.. Enumerable.Range(0, RowGroup.Count).Select(g => new SiteVectors(Mean(File, site.Name, o => o == g) ?? Mean(File, site.Name, o => o == g % prompts) ?? all) { Rows = RowsOf(g) })];
    }

    // The rows of a group, as RowGroup.Of counts them.
    private static RowSelection RowsOf(int group) => new()
    {
        Generated = group >= RowGroup.Count / 2,
        Positions = [(group % (RowGroup.Count / 2)) switch { 0 => new PositionRange(0, 0), 1 => new PositionRange(1, 15), _ => new PositionRange(16, int.MaxValue) }],
    };
}
