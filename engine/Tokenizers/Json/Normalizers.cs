using System.Globalization;
using System.Text;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tokenizers.Json;

/// <summary>The normalizers of a tokenizer.json, each a function of a text.</summary>
internal static class Normalizers
{
    /// <summary>Reads one; other types are refused by name.</summary>
    public static Func<string, string> Read(JsonFields field)
    {
        switch (field.Type)
        {
            case "Sequence":
                Func<string, string>[] parts = [.. field.Get("normalizers").Items().Select(Read)];
                return text => parts.Aggregate(text, (current, part) => part(current));
            case "NFC": return text => CodePoints.ToText(Normalization.Compose(CodePoints.Of(text)).ToArray());
            case "NFD": return text => CodePoints.ToText(Normalization.Decompose(CodePoints.Of(text)).ToArray());
            case "Lowercase": return Lower;
            case "Prepend":
                string prefix = field.String("prepend");
                return text => text.Length == 0 ? text : prefix + text;
            case "Replace":
                var replace = Replacement.Read(field);
                return replace;
            case "BertNormalizer":
                bool clean = field.Bool("clean_text", true), chinese = field.Bool("handle_chinese_chars", true), lower = field.Bool("lowercase", true), strip = field.Bool("strip_accents", lower);
                return text => Bert(text, clean, chinese, strip, lower);
            default: throw field.Unknown("Sequence", "NFC", "NFD", "Lowercase", "Prepend", "Replace", "BertNormalizer");
        }
    }

    // Simple lower case; İ alone becomes two code points.
    private static string Lower(string text)
    {
        var lower = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
            if (rune.Value == 0x130) lower.Append("i\u0307");
            else lower.Append(Rune.ToLowerInvariant(rune).ToString());
        return lower.ToString();
    }

    // Devlin et al. 2019, BasicTokenizer.
    private static string Bert(string text, bool clean, bool chinese, bool strip, bool lower)
    {
        var points = new List<int>(text.Length);
        foreach (int p in CodePoints.Of(text))
        {
            bool space = p is '\t' or '\n' or '\r' || CodePoints.IsWhiteSpace(p);
            if (clean && (p is 0 or 0xFFFD || !(p is '\t' or '\n' or '\r') && CharUnicodeInfo.GetUnicodeCategory(p) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse)) continue;
            if (chinese && WordPieceModel.IsChinese(p)) points.AddRange([' ', p, ' ']);
            else points.Add(clean && space ? ' ' : p);
        }
        if (strip) points = [.. Normalization.Decompose(points.ToArray()).Where(p => CharUnicodeInfo.GetUnicodeCategory(p) != UnicodeCategory.NonSpacingMark)];
        string result = CodePoints.ToText(points.ToArray());
        return lower ? Lower(result) : result;
    }
}
