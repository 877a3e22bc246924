using System.Globalization;
using System.Text;

namespace Tare.Tokenizers.PreTokenizers;

/// <summary>Properties of code points. Categories are those of the runtime's own table, which does not depend on the culture or on globalization being invariant.</summary>
internal static class CodePoints
{
    /// <summary>Unicode's White_Space property.</summary>
    public static bool IsWhiteSpace(int p) => p is >= 9 and <= 13 or 32 or 0x85 or 0xA0 or 0x1680 or >= 0x2000 and <= 0x200A or 0x2028 or 0x2029 or 0x202F or 0x205F or 0x3000;

    /// <summary>Letters, marks and numbers.</summary>
    public static bool IsWord(int p) => CharUnicodeInfo.GetUnicodeCategory(p) is <= UnicodeCategory.OtherNumber or UnicodeCategory.ConnectorPunctuation;

    /// <summary>Simple case folding of what the contractions of the known expressions contain: ASCII, ſ and the Kelvin sign.</summary>
    public static int Fold(int p) => p switch
    {
        >= 'A' and <= 'Z' => p + 32,
        0x17F => 's',
        0x212A => 'k',
        _ => p,
    };

    /// <summary>The test for a general category by its one- or two-letter name, or for Han; null for other names.</summary>
    public static Func<int, bool>? Category(string name) => name switch
    {
        "L" => static p => CharUnicodeInfo.GetUnicodeCategory(p) <= UnicodeCategory.OtherLetter,
        "M" => static p => CharUnicodeInfo.GetUnicodeCategory(p) is >= UnicodeCategory.NonSpacingMark and <= UnicodeCategory.EnclosingMark,
        "N" => static p => CharUnicodeInfo.GetUnicodeCategory(p) is >= UnicodeCategory.DecimalDigitNumber and <= UnicodeCategory.OtherNumber,
        "P" => static p => CharUnicodeInfo.GetUnicodeCategory(p) is >= UnicodeCategory.ConnectorPunctuation and <= UnicodeCategory.OtherPunctuation,
        "S" => static p => CharUnicodeInfo.GetUnicodeCategory(p) is >= UnicodeCategory.MathSymbol and <= UnicodeCategory.OtherSymbol,
        "Lu" => Exactly(UnicodeCategory.UppercaseLetter),
        "Ll" => Exactly(UnicodeCategory.LowercaseLetter),
        "Lt" => Exactly(UnicodeCategory.TitlecaseLetter),
        "Lm" => Exactly(UnicodeCategory.ModifierLetter),
        "Lo" => Exactly(UnicodeCategory.OtherLetter),
        "Nd" => Exactly(UnicodeCategory.DecimalDigitNumber),
        _ => null,
    };

    /// <summary>A text as code points; a lone surrogate becomes U+FFFD.</summary>
    public static int[] Of(string text)
    {
        var points = new int[text.Length];
        int count = 0;
        foreach (Rune rune in text.EnumerateRunes()) points[count++] = rune.Value;
        return count == points.Length ? points : points[..count];
    }

    /// <summary>Code points as a string.</summary>
    public static string ToText(ReadOnlySpan<int> points)
    {
        var text = new StringBuilder(points.Length);
        Span<char> pair = stackalloc char[2];
        foreach (int p in points) text.Append(pair[..new Rune(p).EncodeToUtf16(pair)]);
        return text.ToString();
    }

    private static Func<int, bool> Exactly(UnicodeCategory category) => p => CharUnicodeInfo.GetUnicodeCategory(p) == category;
}
