using System.Text;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tokenizers.Json;

/// <summary>Replace, of normalizers and decoders: a string or the matches of an expression become another string.</summary>
internal static class Replacement
{
    public static Func<string, string> Read(JsonFields field)
    {
        string content = field.String("content");
        var pattern = field.Get("pattern");
        if (pattern.FindString("String") is { } literal) return literal.Length == 0 ? text => text : text => text.Replace(literal, content, StringComparison.Ordinal);
        var expression = Expression(pattern);
        return text =>
        {
            int[] points = CodePoints.Of(text);
            var result = new StringBuilder();
            foreach (var (start, end, matched) in Splitting.Matches(points, expression)) result.Append(matched ? content : CodePoints.ToText(points[start..end]));
            return result.ToString();
        };
    }

    /// <summary>The expression of a pattern; one that this version can't read is refused.</summary>
    public static CodePointPattern Expression(JsonFields pattern)
    {
        try
        {
            return new CodePointPattern(pattern.String("Regex"));
        }
        catch (FormatException e)
        {
            throw pattern.Error($"the expression can't be read ({e.Message})");
        }
    }
}
