using System.Text;

namespace Tare.Tokenizers;

/// <summary>Piece-by-piece decoding for tokenizers whose tokens stand for bytes.</summary>
internal sealed class ByteDecoder : IncrementalDecoder
{
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private readonly GgufTokenizer _tokenizer;
    private readonly bool _skipSpecial;
    private bool _atStart = true;

    public ByteDecoder(GgufTokenizer tokenizer, bool skipSpecial) => (_tokenizer, _skipSpecial) = (tokenizer, skipSpecial);

    public override string Push(int id) => _skipSpecial && _tokenizer.IsSpecial(id) ? "" : Text(_tokenizer.Bytes(id), flush: false);

    public override string Flush() => Text([], flush: true);

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
