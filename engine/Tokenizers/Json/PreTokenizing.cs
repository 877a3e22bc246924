using System.Globalization;
using System.Text;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tokenizers.Json;

/// <summary>A piece of a text on its way to the model; <paramref name="AtStart"/> = it begins the whole text.</summary>
internal readonly record struct Piece(string Text, bool AtStart);

/// <summary>The pre-tokenizers of a tokenizer.json: pieces to finer pieces.</summary>
internal static class PreTokenizing
{
    private const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>Reads one; other types are refused by name.</summary>
    public static Func<Piece, IEnumerable<Piece>> Read(JsonFields field)
    {
        switch (field.Type)
        {
            case "Sequence":
                Func<Piece, IEnumerable<Piece>>[] parts = [.. field.Get("pretokenizers").Items().Select(Read)];
                return piece => parts.Aggregate((IEnumerable<Piece>)[piece], (pieces, part) => pieces.SelectMany(part));
            case "Split": return ReadSplit(field);
            case "Digits":
                string behavior = field.Bool("individual_digits", false) ? "Isolated" : "Contiguous";
                return piece => Cut(piece, points => Splitting.Matches(points, IsNumber), behavior);
            case "ByteLevel": return ReadByteLevel(field);
            case "Metaspace": return ReadMetaspace(field);
            case "BertPreTokenizer":
                return piece => Cut(piece, points => Splitting.Matches(points, CodePoints.IsWhiteSpace), "Removed").SelectMany(word => Cut(word, points => Splitting.Matches(points, IsPunctuation), "Isolated"));
            default: throw field.Unknown("Sequence", "Split", "Digits", "ByteLevel", "Metaspace", "BertPreTokenizer");
        }
    }

    private static Func<Piece, IEnumerable<Piece>> ReadSplit(JsonFields field)
    {
        string behavior = field.String("behavior");
        if (Splitting.Join([], behavior) is null) throw field.Error($"behavior '{behavior}' is not known");
        bool invert = field.Bool("invert", false);
        var pattern = field.Get("pattern");
        var expression = pattern.FindString("String") is { } literal ? new CodePointPattern(string.Concat(literal.Select(c => char.IsAsciiLetterOrDigit(c) || c > 127 ? c.ToString() : $@"\{c}"))) : Replacement.Expression(pattern);
        return piece => Cut(piece, points =>
        {
            var parts = Splitting.Matches(points, expression);
            return invert ? [.. parts.Select(p => (p.Start, p.End, !p.Matched))] : parts;
        }, behavior);
    }

    private static Func<Piece, IEnumerable<Piece>> ReadByteLevel(JsonFields field)
    {
        bool prefix = field.Bool("add_prefix_space", true);
        var expression = field.Bool("use_regex", true) ? new CodePointPattern(Gpt2) : null;
        return piece =>
        {
            if (prefix && !piece.Text.StartsWith(' ')) piece = piece with { Text = " " + piece.Text };
            var pieces = expression is null ? [piece] : Cut(piece, points => Splitting.Matches(points, expression), "Isolated");
            return pieces.Select(p => p with { Text = ToByteAlphabet(p.Text) });
        };
    }

    private static Func<Piece, IEnumerable<Piece>> ReadMetaspace(JsonFields field)
    {
        string replacement = field.FindString("replacement") ?? "▁", scheme = field.FindString("prepend_scheme") ?? (field.Bool("add_prefix_space", true) ? "always" : "never");
        if (scheme is not ("always" or "first" or "never")) throw field.Error($"prepend_scheme '{scheme}' is not known (known: always, first, never)");
        if (CodePoints.Of(replacement) is not [int mark]) throw field.Error($"replacement '{replacement}' is not one character");
        bool split = field.Bool("split", true);
        return piece =>
        {
            string text = piece.Text.Replace(" ", replacement, StringComparison.Ordinal);
            if ((scheme == "always" || scheme == "first" && piece.AtStart) && !text.StartsWith(replacement, StringComparison.Ordinal)) text = replacement + text;
            piece = piece with { Text = text };
            return split ? Cut(piece, points => Splitting.Matches(points, p => p == mark), "MergedWithNext") : [piece];
        };
    }

    private static IEnumerable<Piece> Cut(Piece piece, Func<int[], List<(int Start, int End, bool Matched)>> match, string behavior)
    {
        int[] points = CodePoints.Of(piece.Text);
        return Splitting.Join(match(points), behavior)!.Select(p => new Piece(CodePoints.ToText(points[p.Start..p.End]), piece.AtStart && p.Start == 0));
    }

    private static string ToByteAlphabet(string text)
    {
        var mapped = new StringBuilder();
        foreach (byte b in Encoding.UTF8.GetBytes(text)) mapped.Append(ByteAlphabet.Characters[b]);
        return mapped.ToString();
    }

    private static bool IsNumber(int p) => CharUnicodeInfo.GetUnicodeCategory(p) is >= UnicodeCategory.DecimalDigitNumber and <= UnicodeCategory.OtherNumber;

    private static bool IsPunctuation(int p) => WordPieceModel.IsPunctuation(p, CharUnicodeInfo.GetUnicodeCategory(p));
}
