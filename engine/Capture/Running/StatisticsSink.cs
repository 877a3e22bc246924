using Tare.Capture.Statistics;

namespace Tare.Capture.Running;

/// <summary>Accumulates statistics chunk by chunk: 4,096 rows by their number. A finished chunk goes to a callback; without one, chunks are merged as they come and <see cref="Result"/> holds all.</summary>
public sealed class StatisticsSink : ICaptureSink
{
    private readonly (int Record, int Rows)[] _outputs; // of each site, −1 = none
    private readonly int[] _same;                       // the first site that is the same value; itself for most
    private readonly Action<long, SiteStatistics[]>? _finished;
    private readonly RunningMerge _merge = new();
    private readonly int[] _groups = new int[4096];
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
        if (_finished is null) Result = _merge.Finish();
    }

    internal static IReadOnlyList<SiteColumns> Columns(CaptureGraph capture)
        => [.. capture.Outputs.Where(o => o.Level == CaptureLevel.Record || o.Site.IsHeads).Select(o => new SiteColumns(o.Site.Name, o.Site.Width, o.Site.Partner is not null, o.Site.IsHeads,
            o.Level == CaptureLevel.Record && capture.Outputs.Any(r => r.Site == o.Site && r.Level == CaptureLevel.Rows)))];

    private void Push(CaptureBlock block, int first, int end)
    {
        for (int r = first; r < end; r++) _groups[r - first] = RowGroup.Of(block.Labels[r].Position, block.Labels[r].Phase);
        Parallel.For(0, _outputs.Length, s =>
        {
            if (_same[s] != s) return;
            var site = _chunk![s];
            var (record, rows) = _outputs[s];
            for (int r = first; r < end; r++)
            {
                int group = _groups[r - first];
                if (record >= 0) site.PushRecord(block.Row(record, r), group);
                if (rows < 0) continue;
                if (site.Site.IsHeads) site.PushHeads(block.Row(rows, r), group);
                else site.PushChannels(block.Row(rows, r), group);
            }
        });
    }

    private void Begin(long id)
    {
        End();
        (_id, _chunk) = (id, [.. Sites.Select(s => new SiteStatistics(s))]);
    }

    private void End()
    {
        if (_chunk is null) return;
        foreach (var site in _chunk) site.Finish();
        for (int s = 0; s < _same.Length; s++)
            if (_same[s] != s) _chunk[s] = _chunk[_same[s]].CopyAs(Sites[s]);
        if (_finished is null) _merge.Add(_chunk);
        else _finished(_id, _chunk);
        _chunk = null;
    }
}
