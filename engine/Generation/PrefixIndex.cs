using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Tare.Execution;

namespace Tare.Generation;

/// <summary>A 128-bit hash of all token ids up to the end of a page, and of what was done to their rows, chained page by page.</summary>
internal readonly record struct PrefixKey(UInt128 Value)
{
    /// <summary>The key of the empty beginning in caches of a layout: widths, windows and element types count, so that pages never serve caches of another kind.</summary>
    public static PrefixKey Start(KvLayout layout)
    {
        string text = string.Join(';', layout.Groups.Select(g => $"{string.Join(',', g.Layers)} {g.Shape}"));
        return new PrefixKey(MemoryMarshal.Read<UInt128>(SHA256.HashData(Encoding.UTF8.GetBytes(text))));
    }

    /// <summary>The key after another page of tokens, which begins at <paramref name="position"/>. A page without edited rows has the key that it has without edits.</summary>
    public PrefixKey Next(ReadOnlySpan<int> tokens, int position = 0, EditMarks marks = default)
    {
        if (marks.Any(position, tokens.Length)) return NextEdited(tokens, position, marks);
        Span<byte> bytes = stackalloc byte[16 + tokens.Length * sizeof(int)], hash = stackalloc byte[32];
        MemoryMarshal.Write(bytes, Value);
        MemoryMarshal.AsBytes(tokens).CopyTo(bytes[16..]);
        SHA256.HashData(bytes, hash);
        return new PrefixKey(MemoryMarshal.Read<UInt128>(hash));
    }

    // The key of the edits and what applied to each row count too; the length tells such pages from plain ones.
    private PrefixKey NextEdited(ReadOnlySpan<int> tokens, int position, EditMarks marks)
    {
        Span<byte> bytes = stackalloc byte[32 + tokens.Length * (sizeof(int) + sizeof(ulong))], hash = stackalloc byte[32];
        MemoryMarshal.Write(bytes, Value);
        MemoryMarshal.Write(bytes[16..], marks.Key);
        MemoryMarshal.AsBytes(tokens).CopyTo(bytes[32..]);
        for (int i = 0; i < tokens.Length; i++) BitConverter.TryWriteBytes(bytes[(32 + tokens.Length * sizeof(int) + i * sizeof(ulong))..], marks[position + i]);
        SHA256.HashData(bytes, hash);
        return new PrefixKey(MemoryMarshal.Read<UInt128>(hash));
    }
}

/// <summary>Filled pages by the tokens that lead up to their end, with an order of use. Tokens of the page are compared on a hit.</summary>
internal sealed class PrefixIndex(int groups)
{
    private readonly Dictionary<PrefixKey, LinkedListNode<Entry>> _entries = [];
    private readonly LinkedList<Entry> _byUse = []; // oldest first

    public int Count => _entries.Count;

    public bool Contains(PrefixKey key) => _entries.ContainsKey(key);

    /// <summary>Adds a page a group (−1 = freed).</summary>
    public void Add(PrefixKey key, ReadOnlySpan<int> tokens, int[] pages)
    {
        if (pages.Length != groups) throw new ArgumentException($"{pages.Length} pages for {groups} groups");
        _entries.Add(key, _byUse.AddLast(new Entry(key, tokens.ToArray(), pages)));
    }

    /// <summary>The pages of a key, [groups], or null.</summary>
    public int[]? Find(PrefixKey key, ReadOnlySpan<int> tokens)
    {
        if (!_entries.TryGetValue(key, out var node) || !node.Value.Tokens.AsSpan().SequenceEqual(tokens)) return null;
        _byUse.Remove(node);
        _byUse.AddLast(node);
        return node.Value.Pages;
    }

    /// <summary>Removes the entry that was not used for longest and gives its pages, or null.</summary>
    public int[]? RemoveOldest()
    {
        if (_byUse.First is not { } node) return null;
        _byUse.RemoveFirst();
        _entries.Remove(node.Value.Key);
        return node.Value.Pages;
    }

    private sealed record Entry(PrefixKey Key, int[] Tokens, int[] Pages);
}
