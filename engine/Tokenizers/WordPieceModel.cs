using System.Globalization;
using System.Text;
using Tare.Formats.Gguf;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tokenizers;

/// <summary>
/// WordPiece (Devlin et al. 2019; <c>tokenizer.ggml.model</c> = <c>bert</c>): decomposed, accents dropped, lower case; words split at white space, punctuation and CJK characters; each word by
/// greedy longest match. In GGUF a piece that begins a word is written with ▁, a later one plain. A word that can't be covered is the unknown token.
/// </summary>
/// <remarks>
/// <c>tokenizer.ggml.normalizer.lowercase</c> and <c>.strip_accents</c> say how a text is normalized. Without them a vocabulary that holds capital letters is cased: nothing is lowered or dropped then.
/// </remarks>
internal sealed class WordPieceModel : ITokenModel
{
    private readonly Vocabulary _vocabulary;
    private readonly int? _unknown;
    private readonly int _longest;
    private readonly bool _lower, _strip;

    public WordPieceModel(GgufMetadata metadata, Vocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        bool cased = Enumerable.Range(0, vocabulary.Count).Any(i => vocabulary.Kinds[i] == TokenKind.Normal && !vocabulary.Texts[i].StartsWith('[') && vocabulary.Texts[i].Any(char.IsAsciiLetterUpper));
        _lower = metadata.FindBool("tokenizer.ggml.normalizer.lowercase") ?? !cased;
        _strip = metadata.FindBool("tokenizer.ggml.normalizer.strip_accents") ?? _lower;
        _longest = vocabulary.Texts.Select(t => t.Length).DefaultIfEmpty().Max();
        long unknown = metadata.FindInteger("tokenizer.ggml.unknown_token_id") ?? 100;
        _unknown = unknown >= 0 && unknown < vocabulary.Count ? (int)unknown : null;
    }

    public bool HasSpacePrefix => true;

    public byte[] Bytes(int id)
    {
        string text = _vocabulary.Texts[id];
        return Encoding.UTF8.GetBytes(text.StartsWith('▁') ? $" {text[1..]}" : text);
    }

    public long Encode(string text, bool afterSpecial, List<int> ids)
    {
        long operations = 0;
        foreach (string word in Words(text)) operations += EncodeWord($"▁{word}", ids);
        return operations;
    }

    private long EncodeWord(string word, List<int> ids)
    {
        var lookup = _vocabulary.Ids.GetAlternateLookup<ReadOnlySpan<char>>();
        int before = ids.Count;
        long operations = 0;
        for (int start = 0; start < word.Length;)
        {
            int length = Math.Min(_longest, word.Length - start), id = -1;
            for (; length > 0; length--)
            {
                operations++;
                if (lookup.TryGetValue(word.AsSpan(start, length), out id)) break;
            }
            if (length == 0)
            {
                ids.RemoveRange(before, ids.Count - before);
                if (_unknown is int unknown) ids.Add(unknown);
                return operations;
            }
            ids.Add(id);
            start += length;
        }
        return operations;
    }

    private List<string> Words(string text)
    {
        var points = new List<int>();
        if (_strip)
            foreach (int p in CodePoints.Of(text)) CanonicalDecomposition.Append(p, points);
        else points.AddRange(CodePoints.Of(text));
        var words = new List<string>();
        var word = new StringBuilder();
        foreach (int p in points)
        {
            var category = CharUnicodeInfo.GetUnicodeCategory(p);
            if (CodePoints.IsWhiteSpace(p)) End();
            else if (p is 0 or 0xFFFD || category is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse || _strip && category == UnicodeCategory.NonSpacingMark) continue;
            else if (IsPunctuation(p, category) || IsChinese(p))
            {
                End();
                words.Add(char.ConvertFromUtf32(p));
            }
            else word.Append((_lower ? Rune.ToLowerInvariant(new Rune(p)) : new Rune(p)).ToString());
        }
        End();
        return words;

        void End()
        {
            if (word.Length > 0) words.Add(word.ToString());
            word.Clear();
        }
    }

    internal static bool IsPunctuation(int p, UnicodeCategory category)
        => p is >= 33 and <= 47 or >= 58 and <= 64 or >= 91 and <= 96 or >= 123 and <= 126 || category is >= UnicodeCategory.ConnectorPunctuation and <= UnicodeCategory.OtherPunctuation;

    internal static bool IsChinese(int p) => p is >= 0x4E00 and <= 0x9FFF or >= 0x3400 and <= 0x4DBF or >= 0x20000 and <= 0x2A6DF or >= 0x2A700 and <= 0x2B73F or >= 0x2B740 and <= 0x2B81F or >= 0x2B820 and <= 0x2CEAF
        or >= 0xF900 and <= 0xFAFF or >= 0x2F800 and <= 0x2FA1F;
}
