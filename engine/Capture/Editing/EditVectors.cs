using System.Collections.Immutable;
using Tare.Execution.Edits;

namespace Tare.Capture.Editing;

/// <summary>Vectors for one site.</summary>
/// <param name="Values">[count, width] one behind the other.</param>
/// <param name="Count">How many; more than one only for directions that are taken out, and for rows of <see cref="Positions"/>.</param>
public sealed record SiteVectors(ImmutableArray<double> Values, int Count = 1)
{
    /// <summary>The positions that the vectors belong to, ascending; empty = every row.</summary>
    public ImmutableArray<int> Positions { get; init; } = [];

    /// <summary>The rows that they are for.</summary>
    public RowSelection Rows { get; init; } = RowSelection.All;

    /// <summary>Elements of each.</summary>
    public int Width => Values.Length / Math.Max(1, Count);
}

/// <summary>Where the vectors of an edit come from.</summary>
public abstract record EditVectors
{
    /// <summary>Whether these are the rows of another run, means of rows, or vectors as such: what an action may use them for.</summary>
    internal virtual EditAction? OnlyFor => null;

    /// <summary>What a site gets: nothing where these vectors say nothing of it and that is meant so. Throws <see cref="EditException"/>.</summary>
    internal abstract IReadOnlyList<SiteVectors> Of(Site site);

    /// <summary>The same vector everywhere: [width] of a row, or of a head.</summary>
    public static EditVectors Same(params ReadOnlySpan<double> vector) => new SameVectors(new SiteVectors([.. vector]));

    /// <summary>The same vector everywhere.</summary>
    public static EditVectors Same(ReadOnlySpan<float> vector)
    {
        var values = new double[vector.Length];
        for (int i = 0; i < values.Length; i++) values[i] = vector[i];
        return Same(values);
    }
}

/// <summary>The same vectors everywhere.</summary>
public sealed record SameVectors(SiteVectors Vectors) : EditVectors
{
    internal override IReadOnlyList<SiteVectors> Of(Site site) => [Vectors];
}

/// <summary>Vectors of their own for each site, by its name.</summary>
/// <param name="BySite">Vectors of each site; names as <c>tare capture sites</c> lists them.</param>
/// <param name="Source">What they are called in errors.</param>
public sealed record VectorsBySite(IReadOnlyDictionary<string, SiteVectors> BySite, string Source) : EditVectors
{
    internal override IReadOnlyList<SiteVectors> Of(Site site)
        => BySite.TryGetValue(site.Name, out var found) ? [found] : throw new EditException($"{Source} has no vector for {site.Name} (it has: {string.Join(", ", BySite.Keys.Take(4))}{(BySite.Count > 4 ? ", …" : "")})");
}

/// <summary>The rows of a run that the process still has.</summary>
public sealed record CachedRows(ActivationCache Cache) : EditVectors
{
    internal override EditAction? OnlyFor => EditAction.Patch;

    internal override IReadOnlyList<SiteVectors> Of(Site site)
    {
        if (!Cache.Names.Contains(site.Name)) throw new EditException($"the run to patch from did not capture {site.Name}");
        var values = Cache[site.Name].Span;
        var wide = new double[values.Length];
        for (int i = 0; i < wide.Length; i++) wide[i] = values[i];
        return [new SiteVectors([.. wide], Cache.Tokens.Count) { Positions = [.. Enumerable.Range(0, Cache.Tokens.Count)] }];
    }
}
