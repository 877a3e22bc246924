using System.Runtime.InteropServices;
using Tare.Execution;
using Tare.Execution.Edits;

namespace Tare.Backends.Reference;

/// <summary>Cache pages in F64, whatever type the layout names; fresh pages hold NaN, so that reading one shows.</summary>
internal sealed class ReferenceState : IState
{
    private readonly double[][][] _pages; // [groups][pages][PageElements]

    public ReferenceState(StateLayout layout)
    {
        Layout = layout;
        Edits = layout.Edits is null ? null : new EditTable(layout.Edits);
        _pages = [.. layout.Kv.Groups.Select((group, g) => Enumerable.Range(0, layout.PagesPerGroup[g]).Select(_ => Fresh(group)).ToArray())];
    }

    public StateLayout Layout { get; }

    public EditTable? Edits { get; }

    public long Bytes => _pages.Sum(g => g.Sum(p => p.LongLength * sizeof(double)));

    /// <summary>Elements of a page, laid out as <see cref="KvGroup"/> says.</summary>
    public double[] Page(int group, int page) => _pages[group][page];

    public void CopyPage(int group, int from, int to) => _pages[group][from].CopyTo(_pages[group][to], 0);

    public int PageBytes(int group) => checked((int)(Layout.Kv.Groups[group].PageElements * sizeof(double)));

    public void SavePage(int group, int page, Span<byte> destination) => MemoryMarshal.AsBytes(_pages[group][page].AsSpan()).CopyTo(destination);

    public void LoadPage(int group, int page, ReadOnlySpan<byte> source)
    {
        if (source.Length != PageBytes(group)) throw new ArgumentException($"{source.Length} bytes are not a page of group {group} ({PageBytes(group)} bytes)");
        source.CopyTo(MemoryMarshal.AsBytes(_pages[group][page].AsSpan()));
    }

    public void Dispose() { }

    private static double[] Fresh(KvGroup group)
    {
        var page = new double[checked((int)group.PageElements)];
        Array.Fill(page, double.NaN);
        return page;
    }
}
