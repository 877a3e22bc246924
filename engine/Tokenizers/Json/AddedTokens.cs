using System.Globalization;
using System.Text;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tokenizers.Json;

/// <summary>A token that is cut out of a text before the model sees it.</summary>
internal sealed record AddedToken(int Id, string Content, bool SingleWord, bool StripLeft, bool StripRight, bool Normalized, bool Special);

/// <summary>Finds added tokens in a text: leftmost, the longest of those that begin at one place.</summary>
internal sealed class AddedTokens
{
    private readonly Dictionary<char, (string Text, AddedToken Token)[]> _byFirst;

    /// <summary>Tokens by the text that they are looked for by.</summary>
    public AddedTokens(IEnumerable<(string Text, AddedToken Token)> tokens)
        => _byFirst = tokens.Where(t => t.Text.Length > 0).GroupBy(t => t.Text[0]).ToDictionary(g => g.Key, g => g.OrderByDescending(t => t.Text.Length).ToArray());

    /// <summary>Tokens and the stretches between them (no token), in order. Special tokens are passed over where they are to be text.</summary>
    public List<(int Start, int End, AddedToken? Token)> Cut(string text, bool parseSpecial)
    {
        var parts = new List<(int, int, AddedToken?)>();
        int done = 0;
        for (int at = 0; at < text.Length;)
        {
            var (content, token) = _byFirst.TryGetValue(text[at], out var candidates) ? Array.Find(candidates, c => string.CompareOrdinal(text, at, c.Text, 0, c.Text.Length) == 0) : default;
            if (token is null)
            {
                at++;
                continue;
            }
            int start = at, end = at += content.Length;
            if (token.Special && !parseSpecial || token.SingleWord && (EndsInWord(text, start) || BeginsWord(text, end))) continue;
            if (token.StripLeft)
                while (start > done && CodePoints.IsWhiteSpace(text[start - 1])) start--;
            if (token.StripRight)
                while (end < text.Length && CodePoints.IsWhiteSpace(text[end])) end++;
            if (start > done) parts.Add((done, start, null));
            parts.Add((start, end, token));
            done = at = end;
        }
        if (done < text.Length) parts.Add((done, text.Length, null));
        return parts;
    }

    private static bool EndsInWord(string text, int end) => Rune.DecodeLastFromUtf16(text.AsSpan(0, end), out var rune, out _) == System.Buffers.OperationStatus.Done && IsWord(rune);

    private static bool BeginsWord(string text, int start) => Rune.DecodeFromUtf16(text.AsSpan(start), out var rune, out _) == System.Buffers.OperationStatus.Done && IsWord(rune);

    // \w of Unicode TS 18: letters, marks, decimal digits, letter numbers, connectors, joiners.
    private static bool IsWord(Rune rune) => rune.Value is 0x200C or 0x200D || Rune.GetUnicodeCategory(rune) is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
        or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark
        or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation;
}
