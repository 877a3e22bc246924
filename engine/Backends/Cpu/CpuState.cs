using System.Runtime.InteropServices;
using Tare.Execution;

namespace Tare.Backends.Cpu;

/// <summary>
/// Cache pages in F32. A page holds, layer after layer, keys transposed to [KeyWidth, 32 positions], so that the lanes of a score vector are positions, and values as [32, ValueWidth].
/// </summary>
internal sealed unsafe class CpuState : IState
{
    private readonly NativeBuffer<float>[] _pages; // [groups], each [pages, PageElements]

    public CpuState(StateLayout layout)
    {
        Layout = layout;
        _pages = [.. layout.Kv.Groups.Select((group, g) => new NativeBuffer<float>(checked(group.PageElements * layout.PagesPerGroup[g])))];
    }

    public StateLayout Layout { get; }

    public long Bytes => _pages.Sum(p => p.Bytes);

    /// <summary>The keys of a layer (by its index in the group) in a page: [KeyWidth, 32]; the values [32, ValueWidth] lie behind.</summary>
    public float* Keys(int group, int page, int layerIndex)
    {
        var shape = Layout.Kv.Groups[group];
        return _pages[group].Pointer + page * shape.PageElements + shape.KeyOffset(layerIndex, 0);
    }

    public void CopyPage(int group, int from, int to) => Page(group, from).CopyTo(Page(group, to));

    public int PageBytes(int group) => checked((int)(Layout.Kv.Groups[group].PageElements * sizeof(float)));

    public void SavePage(int group, int page, Span<byte> destination) => MemoryMarshal.AsBytes(Page(group, page)).CopyTo(destination);

    public void LoadPage(int group, int page, ReadOnlySpan<byte> source)
    {
        if (source.Length != PageBytes(group)) throw new ArgumentException($"{source.Length} bytes are not a page of group {group} ({PageBytes(group)} bytes)");
        source.CopyTo(MemoryMarshal.AsBytes(Page(group, page)));
    }

    public void Dispose()
    {
        foreach (var pages in _pages) pages.Dispose();
    }

    private Span<float> Page(int group, int page)
    {
        int elements = checked((int)Layout.Kv.Groups[group].PageElements);
        return _pages[group].Span((long)page * elements, elements);
    }
}
