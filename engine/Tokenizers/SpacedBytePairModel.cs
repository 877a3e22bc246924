using System.Globalization;
using System.Text;
using Tare.Formats.Gguf;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tokenizers;

/// <summary>BPE on characters with spaces written as ▁, cut at runs of line ends only, with byte tokens for what the vocabulary lacks (<c>tokenizer.ggml.model</c> = <c>gemma4</c>).</summary>
internal sealed class SpacedBytePairModel : ITokenModel
{
    private readonly Vocabulary _vocabulary;
    private readonly CharacterBytePair _merger;
    private readonly CodePointPattern _pattern = new(PreTokenizerRules.Find("gemma4")![0]);

    public SpacedBytePairModel(GgufMetadata metadata, Vocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        int? unknown = metadata.FindInteger("tokenizer.ggml.unknown_token_id") is long id && id >= 0 && id < vocabulary.Count ? (int)id : null;
        _merger = new CharacterBytePair(vocabulary.Ids, ByteLevelModel.ReadMerges(metadata, vocabulary), unknown, fuseUnknown: false, byteFallback: true);
    }

    public bool HasSpacePrefix => false;

    public byte[] Bytes(int id)
    {
        string text = _vocabulary.Texts[id];
        return text.Length == 6 && text.StartsWith("<0x", StringComparison.Ordinal) && byte.TryParse(text.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value) && text[5] == '>'
            ? [value] : Encoding.UTF8.GetBytes(text.Replace('▁', ' '));
    }

    public long Encode(string text, bool afterSpecial, List<int> ids)
    {
        ReadOnlyMemory<int> points = CodePoints.Of(text.Replace(' ', '▁'));
        var pieces = new List<(int Start, int End)>();
        _pattern.Split(points, 0, points.Length, pieces);
        long operations = 0;
        foreach (var (start, end) in pieces) operations += _merger.Encode(CodePoints.ToText(points[start..end].Span), ids);
        return operations;
    }
}
