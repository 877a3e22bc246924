using Tare.Graphs.Ops;

namespace Tare.Capture.Statistics;

/// <summary>What a site is in a statistics file.</summary>
/// <param name="Name">Canonical name.</param>
/// <param name="Width">Elements of a row; heads for attention statistics.</param>
/// <param name="HasPartner">Whether rows are compared with the stream (or a norm's input).</param>
/// <param name="IsHeads">One value a head instead of a row.</param>
/// <param name="HasChannels">Whether channels are counted one by one too.</param>
public sealed record SiteColumns(string Name, int Width, bool HasPartner, bool IsHeads, bool HasChannels);

/// <summary>Statistics of one site: for each group the facts of its rows, all elements at once, channels or heads.</summary>
public sealed class SiteStatistics
{
    private readonly double[] _facts;

    /// <summary>Nothing yet.</summary>
    public SiteStatistics(SiteColumns site)
    {
        Site = site;
        int columns = site.IsHeads ? site.Width : RowFacts.Count;
        Columns = [.. Enumerable.Range(0, RowGroup.Count).Select(_ => new ColumnMoments(columns))];
        Elements = [.. Enumerable.Repeat(Moments.Empty, RowGroup.Count)];
        Channels = site.HasChannels ? [.. Enumerable.Range(0, RowGroup.Count).Select(_ => new ChannelMoments(site.Width))] : null;
        Skipped = new long[RowGroup.Count];
        _facts = new double[ColumnMoments.Padded(columns)];
    }

    /// <summary>The site.</summary>
    public SiteColumns Site { get; }

    /// <summary>[groups] moments of each fact (or head) over rows.</summary>
    public ColumnMoments[] Columns { get; }

    /// <summary>[groups] moments over all rows and channels at once.</summary>
    public Moments[] Elements { get; }

    /// <summary>[groups], or null.</summary>
    public ChannelMoments[]? Channels { get; }

    /// <summary>[groups] rows that hold NaN or infinite elements and are in no other number.</summary>
    public long[] Skipped { get; }

    /// <summary>Adds a row's record [16].</summary>
    public void PushRecord<T>(ReadOnlySpan<T> record, int group) where T : System.Numerics.INumber<T>
    {
        double mean = double.CreateTruncating(record[RowRecord.Mean]);
        if (record[RowRecord.NonFinite] != T.Zero || !double.IsFinite(mean))
        {
            Skipped[group]++;
            return;
        }
        RowFacts.Derive(record, Site.Width, _facts);
        Columns[group].Push(_facts);
        double n = Site.Width, largest = _facts[(int)RowFact.AbsMax];
        // The smallest and largest element are not in the record; their magnitude is.
        Elements[group] = Moments.Merge(Elements[group], new Moments(n, mean, n * _facts[(int)RowFact.Variance], n * _facts[(int)RowFact.M3], n * _facts[(int)RowFact.M4], -largest, largest));
    }

    /// <summary>Adds a row of one value a head.</summary>
    public void PushHeads(ReadOnlySpan<float> values, int group)
    {
        for (int i = 0; i < values.Length; i++) _facts[i] = values[i];
        Columns[group].Push(_facts);
    }

    /// <summary>Adds a row's channels; rows with NaN or infinite elements are left out.</summary>
    public void PushChannels(ReadOnlySpan<float> row, int group)
    {
        foreach (float x in row)
            if (!float.IsFinite(x)) return;
        Channels![group].Push(row);
    }

    /// <summary>Adds rows that come after these.</summary>
    public void Merge(SiteStatistics later)
    {
        if (later.Site != Site) throw new ArgumentException($"statistics of {later.Site} don't fit {Site}");
        for (int g = 0; g < RowGroup.Count; g++)
        {
            Columns[g].Merge(later.Columns[g]);
            Elements[g] = Moments.Merge(Elements[g], later.Elements[g]);
            Channels?[g].Merge(later.Channels![g]);
            Skipped[g] += later.Skipped[g];
        }
    }
}
