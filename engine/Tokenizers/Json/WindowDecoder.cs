using System.Runtime.InteropServices;

namespace Tare.Tokenizers.Json;

/// <summary>
/// Piece-by-piece decoding where decoders look at neighbors: the ids since the last text but one are decoded with and without the new id; what is longer is new. Text that ends in U+FFFD waits, since more bytes
/// may complete it.
/// </summary>
internal sealed class WindowDecoder(JsonTokenizer tokenizer, bool skipSpecial) : IncrementalDecoder
{
    private readonly List<int> _window = [];
    private int _shown; // ids of the window whose text was given

    public override string Push(int id)
    {
        if (skipSpecial && tokenizer.IsSpecial(id)) return "";
        _window.Add(id);
        string before = Decode(_shown), all = Decode(_window.Count);
        if (all.Length <= before.Length || all.EndsWith('\uFFFD')) return "";
        string text = all[before.Length..];
        _window.RemoveRange(0, _shown);
        _shown = _window.Count;
        return text;
    }

    public override string Flush()
    {
        string before = Decode(_shown), all = Decode(_window.Count);
        _window.Clear();
        _shown = 0;
        return all.Length > before.Length ? all[before.Length..] : "";
    }

    private string Decode(int count) => tokenizer.Decode(CollectionsMarshal.AsSpan(_window)[..count], skipSpecial);
}
