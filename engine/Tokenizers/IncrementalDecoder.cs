using System.Text;

namespace Tare.Tokenizers;

/// <summary>Turns ids into text piece by piece and never gives half a character: an unfinished one waits for its rest, or becomes U+FFFD at <see cref="Flush"/>.</summary>
public sealed class IncrementalDecoder
{
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private readonly Tokenizer _tokenizer;
    private readonly bool _skipSpecial;
    private bool _atStart = true;

    internal IncrementalDecoder(Tokenizer tokenizer, bool skipSpecial) => (_tokenizer, _skipSpecial) = (tokenizer, skipSpecial);

    /// <summary>The text that this id completes; may be empty.</summary>
    public string Push(int id) => _skipSpecial && _tokenizer.IsSpecial(id) ? "" : Text(_tokenizer.Bytes(id), flush: false);

    /// <summary>What is left at the end.</summary>
    public string Flush() => Text([], flush: true);

    private string Text(ReadOnlySpan<byte> bytes, bool flush)
    {
        var characters = new char[_decoder.GetCharCount(bytes, flush)];
        string text = new(characters, 0, _decoder.GetChars(bytes, characters, flush));
        if (text.Length == 0) return text;
        bool cut = _atStart && _tokenizer.HasSpacePrefix && text[0] == ' ';
        _atStart = false;
        return cut ? text[1..] : text;
    }
}
