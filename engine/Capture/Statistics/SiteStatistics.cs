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
    private double[]? _facts, _moments;    // scratch of a batch, or of a row of heads
    private RowBatch?[]? _batches;         // [groups] rows that are not counted yet

    /// <summary>Nothing yet.</summary>
    public SiteStatistics(SiteColumns site)
    {
        Site = site;
        int columns = site.IsHeads ? site.Width : RowFacts.Count;
        Columns = [.. Enumerable.Range(0, RowGroup.Count).Select(_ => new ColumnMoments(columns))];
        Elements = [.. Enumerable.Repeat(Moments.Empty, RowGroup.Count)];
        Channels = site.HasChannels ? [.. Enumerable.Range(0, RowGroup.Count).Select(_ => new ChannelMoments(site.Width))] : null;
        Skipped = new long[RowGroup.Count];
    }

    /// <summary>The site.</summary>
    public SiteColumns Site { get; }

    /// <summary>[groups] moments of each fact (or head) over rows.</summary>
    public ColumnMoments[] Columns { get; }

    /// <summary>[groups] moments over all rows and channels at once.</summary>
    public Moments[] Elements { get; }

    /// <summary>[groups], or null.</summary>
    public ChannelMoments[]? Channels { get; }

    /// <summary>[groups] rows that are in no other number: with NaN or infinite elements, or so large that a sum of the record (of fourth powers, of squares of what the row is compared with) exceeds F32.</summary>
    public long[] Skipped { get; }

    /// <summary>Adds a row's record [16]; <see cref="Finish"/> follows the last one.</summary>
    public void PushRecord(ReadOnlySpan<float> record, int group)
    {
        if (record[RowRecord.NonFinite] != 0 || !float.IsFinite(record[RowRecord.MeanSquare]) || !float.IsFinite(record[RowRecord.Moment4]) || !float.IsFinite(record[RowRecord.PartnerEnergy]) || !float.IsFinite(record[RowRecord.Product]))
        {
            Skipped[group]++;
            return;
        }
        var batch = (_batches ??= new RowBatch?[RowGroup.Count])[group] ??= new RowBatch();
        batch.Add(record);
        if (batch.Count == RowBatch.Rows) Empty(batch, group);
    }

    /// <summary>Counts the rows of batches that are not full.</summary>
    public void Finish()
    {
        for (int g = 0; g < RowGroup.Count; g++)
            if (_batches?[g] is { } batch) Empty(batch, g);
    }

    /// <summary>Forgets all rows and keeps the memory.</summary>
    internal void Clear()
    {
        for (int g = 0; g < RowGroup.Count; g++)
        {
            Columns[g].Clear();
            Channels?[g].Clear();
            _batches?[g]?.Clear();
            (Elements[g], Skipped[g]) = (Moments.Empty, 0);
        }
    }

    private void Empty(RowBatch batch, int group)
    {
        int padded = ColumnMoments.Padded(RowFacts.Count);
        batch.Empty(Site.Width, _facts ??= new double[RowFacts.Count * RowBatch.Rows], _moments ??= new double[6 * padded], Columns[group], ref Elements[group]);
    }

    /// <summary>Adds one row's facts [at least <see cref="RowFacts.Count"/>, rounded up to vectors] in double, one by one.</summary>
    internal void PushFacts(ReadOnlySpan<double> facts, int group)
    {
        Columns[group].Push(facts);
        double n = Site.Width, mean = facts[(int)RowFact.Mean], largest = facts[(int)RowFact.AbsMax];
        Elements[group] = Moments.Merge(Elements[group], new Moments(n, mean, n * facts[(int)RowFact.Variance], n * facts[(int)RowFact.M3], n * facts[(int)RowFact.M4], -largest, largest));
    }

    /// <summary>The same statistics under the name of another site that is the same value.</summary>
    internal SiteStatistics CopyAs(SiteColumns site)
    {
        var copy = new SiteStatistics(site);
        copy.Finish();
        copy.Merge(this, sameSite: false);
        return copy;
    }

    /// <summary>Adds a row of one value a head; rows with NaN or infinite values are left out.</summary>
    public void PushHeads(ReadOnlySpan<float> values, int group)
    {
        foreach (float x in values)
            if (!float.IsFinite(x))
            {
                Skipped[group]++;
                return;
            }
        _facts ??= new double[ColumnMoments.Padded(Site.Width)];
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
    public void Merge(SiteStatistics later) => Merge(later, sameSite: true);

    private void Merge(SiteStatistics later, bool sameSite)
    {
        Finish();
        later.Finish();
        if (sameSite && later.Site != Site) throw new ArgumentException($"statistics of {later.Site} don't fit {Site}");
        for (int g = 0; g < RowGroup.Count; g++)
        {
            Columns[g].Merge(later.Columns[g]);
            Elements[g] = Moments.Merge(Elements[g], later.Elements[g]);
            Channels?[g].Merge(later.Channels![g]);
            Skipped[g] += later.Skipped[g];
        }
    }
}
