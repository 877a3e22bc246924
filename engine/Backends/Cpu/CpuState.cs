using Tare.Backends.Cpu.Caches;
using Tare.Execution;
using Tare.Execution.Edits;

namespace Tare.Backends.Cpu;

/// <summary>Cache pages, laid out as <see cref="PageFormat"/> says, and an edit table.</summary>
internal sealed unsafe class CpuState : IState
{
    private readonly PageFormat[] _formats;      // [groups]
    private readonly NativeBuffer<byte>[] _pages; // [groups], each [pages, PageFormat.Bytes]
    private readonly CpuEditTable? _edits;

    public CpuState(StateLayout layout)
    {
        Layout = layout;
        _edits = layout.Edits is null ? null : new CpuEditTable(layout.Edits);
        _formats = [.. layout.Kv.Groups.Select(g => new PageFormat(g))];
        // Huge pages: a head's part of a page is about as long as an ordinary page, so each would miss the address cache. Caches fill from their first page on, so little more than what a run needs becomes resident.
        _pages = [.. layout.PagesPerGroup.Select((pages, g) => new NativeBuffer<byte>(checked(_formats[g].Bytes * pages), dense: true))];
    }

    public StateLayout Layout { get; }

    public long Bytes => _pages.Sum(p => p.Bytes) + (_edits?.Bytes ?? 0);

    public EditTable? Edits => _edits;

    /// <summary>The layout of a group's pages.</summary>
    public ref readonly PageFormat Format(int group) => ref _formats[group];

    /// <summary>The keys of a head in a page, for the layer at this index of the group.</summary>
    public byte* Keys(int group, int page, int layerIndex, int head)
    {
        ref readonly var format = ref _formats[group];
        return _pages[group].Pointer + page * format.Bytes + layerIndex * format.LayerBytes + (long)head * format.Keys.Bytes;
    }

    /// <summary>The values of a head in a page.</summary>
    public byte* Values(int group, int page, int layerIndex, int head)
    {
        ref readonly var format = ref _formats[group];
        return _pages[group].Pointer + page * format.Bytes + layerIndex * format.LayerBytes + (long)format.Heads * format.Keys.Bytes + (long)head * format.Values.Bytes;
    }

    public void CopyPage(int group, int from, int to) => Page(group, from).CopyTo(Page(group, to));

    public int PageBytes(int group) => checked((int)_formats[group].Bytes);

    public void SavePage(int group, int page, Span<byte> destination) => Page(group, page).CopyTo(destination);

    public void LoadPage(int group, int page, ReadOnlySpan<byte> source)
    {
        if (source.Length != PageBytes(group)) throw new ArgumentException($"{source.Length} bytes are not a page of group {group} ({PageBytes(group)} bytes)");
        source.CopyTo(Page(group, page));
    }

    public void Dispose()
    {
        foreach (var pages in _pages) pages.Dispose();
        _edits?.Dispose();
    }

    private Span<byte> Page(int group, int page) => _pages[group].Span(page * _formats[group].Bytes, PageBytes(group));
}
