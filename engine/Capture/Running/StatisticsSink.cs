using Tare.Capture.Statistics;

namespace Tare.Capture.Running;

/// <summary>Accumulates statistics chunk by chunk: 4,096 rows by their number. A finished chunk goes to a callback; without one, chunks are merged as they come and <see cref="Result"/> holds all.</summary>
public sealed class StatisticsSink : ICaptureSink
{
    private readonly (int Record, int Rows)[] _outputs; // of each site, −1 = none
    private readonly int[] _same;                       // the first site that is the same value; itself for most
    private readonly Action<long, SiteStatistics[]>? _finished;
    private readonly RunningMerge _merge = new();
    private readonly int[] _groups = new int[PairwiseMerge.ChunkRows], _distinct; // _distinct: sites that are their own _same
    private SiteStatistics[]? _chunk;
    private long _id = -1;

    /// <summary>For the outputs of a capture.</summary>
    public StatisticsSink(CaptureGraph capture, Action<long, SiteStatistics[]>? finished = null)
    {
        _finished = finished;
        Sites = Columns(capture);
        var outputs = capture.Outputs.Select((o, i) => (o, i)).ToList();
        _outputs = [.. Sites.Select(s => (Find(s.Name, CaptureLevel.Record), s.IsHeads || s.HasChannels ? Find(s.Name, CaptureLevel.Rows) : -1))];
        // A block's end is the next one's entry: counted once, written under both names.
        string[] names = [.. capture.Outputs.Select(o => o.Output)];
        string Key((int Record, int Rows) o) => $"{(o.Record < 0 ? "" : names[o.Record])}|{(o.Rows < 0 ? "" : names[o.Rows])}";
        _same = [.. _outputs.Select(o => Array.FindIndex(_outputs, other => Key(other) == Key(o)))];
        _distinct = [.. Enumerable.Range(0, _same.Length).Where(s => _same[s] == s)];

        int Find(string name, CaptureLevel level) => outputs.Where(x => x.o.Site.Name == name && x.o.Level == level).Select(x => x.i).DefaultIfEmpty(-1).First();
    }

    /// <summary>The sites.</summary>
    public IReadOnlyList<SiteColumns> Sites { get; }

    /// <summary>All rows, once the capture is complete; null where there were none.</summary>
    public IReadOnlyList<SiteStatistics>? Result { get; private set; }

    /// <summary>Rows of positions that were not captured, by sequence: first position and count.</summary>
    public List<(long Sequence, int FirstPosition, int Count)> MissingRows { get; } = [];

    /// <inheritdoc/>
    public void Write(CaptureBlock block)
    {
        for (int at = 0; at < block.Rows;)
        {
            long id = block.Labels[at].Row / PairwiseMerge.ChunkRows;
            if (id != _id) Begin(id);
            int end = at;
            while (end < block.Rows && block.Labels[end].Row / PairwiseMerge.ChunkRows == id) end++;
            Push(block, at, end);
            at = end;
        }
    }

    /// <inheritdoc/>
    public void Missing(long sequence, int firstPosition, int count) => MissingRows.Add((sequence, firstPosition, count));

    /// <inheritdoc/>
    public void Complete()
    {
        End();
        if (_finished is null && _merge.Finish() is { } all) Result = WithCopies(all);
    }

    internal static IReadOnlyList<SiteColumns> Columns(CaptureGraph capture)
        => [.. capture.Outputs.Where(o => o.Level == CaptureLevel.Record || o.Site.IsHeads).Select(o => new SiteColumns(o.Site.Name, o.Site.Width, o.Site.Partner is not null, o.Site.IsHeads,
            o.Level == CaptureLevel.Record && capture.Outputs.Any(r => r.Site == o.Site && r.Level == CaptureLevel.Rows)))];

    // Site by site, so that what a site has counted stays in cache.
    private void Push(CaptureBlock block, int first, int end)
    {
        for (int r = first; r < end; r++) _groups[r - first] = RowGroup.Of(block.Labels[r].Position, block.Labels[r].Phase);
        foreach (int s in _distinct) Push(_chunk![s], _outputs[s], block, first, end);
    }

    private void Push(SiteStatistics site, (int Record, int Rows) outputs, CaptureBlock block, int first, int end)
    {
        if (outputs.Record >= 0)
            for (int r = first; r < end; r++) site.PushRecord(block.Row(outputs.Record, r), _groups[r - first]);
        if (outputs.Rows < 0) return;
        if (site.Site.IsHeads)
            for (int r = first; r < end; r++) site.PushHeads(block.Row(outputs.Rows, r), _groups[r - first]);
        else
            for (int r = first; r < end; r++) site.PushChannels(block.Row(outputs.Rows, r), _groups[r - first]);
    }

    private void Begin(long id)
    {
        End();
        _id = id;
        _chunk = _merge.Reuse() ?? [.. Sites.Select(s => new SiteStatistics(s))];
    }

    private void End()
    {
        if (_chunk is null) return;
        foreach (int s in _distinct) _chunk[s].Finish();
        if (_finished is null) _merge.Add(_chunk);
        else
        {
            _finished(_id, WithCopies(_chunk));
            _merge.Recycle(_chunk);
        }
        _chunk = null;
    }

    // A value that has several names is counted once and written under each.
    private SiteStatistics[] WithCopies(SiteStatistics[] counted) => [.. counted.Select((site, s) => _same[s] == s ? site : counted[_same[s]].CopyAs(Sites[s]))];
}
