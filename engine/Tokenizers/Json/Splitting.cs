using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tokenizers.Json;

/// <summary>Cuts a text at matches and joins the parts as a behavior says.</summary>
internal static class Splitting
{
    /// <summary>Matches and the gaps between them, in order.</summary>
    public static List<(int Start, int End, bool Matched)> Matches(ReadOnlyMemory<int> text, CodePointPattern pattern)
    {
        var parts = new List<(int, int, bool)>();
        int gap = 0;
        for (int at = 0; at < text.Length;)
        {
            int end = pattern.Match(text, at);
            if (end <= at)
            {
                at = end < 0 ? pattern.NextStart(text, at) : at + 1;
                continue;
            }
            if (gap < at) parts.Add((gap, at, false));
            parts.Add((at, end, true));
            gap = at = end;
        }
        if (gap < text.Length) parts.Add((gap, text.Length, false));
        return parts;
    }

    /// <summary>Runs of code points that a predicate accepts one by one, each a match.</summary>
    public static List<(int Start, int End, bool Matched)> Matches(ReadOnlyMemory<int> text, Func<int, bool> accepts)
    {
        var parts = new List<(int Start, int End, bool Matched)>();
        for (int at = 0; at < text.Length; at++)
        {
            bool matched = accepts(text.Span[at]);
            if (!matched && parts.Count > 0 && !parts[^1].Matched) parts[^1] = (parts[^1].Start, at + 1, false);
            else parts.Add((at, at + 1, matched));
        }
        return parts;
    }

    /// <summary>Joins parts: Isolated, Removed, Contiguous, MergedWithPrevious, MergedWithNext; null where the behavior is not one of these.</summary>
    public static IEnumerable<(int Start, int End)>? Join(List<(int Start, int End, bool Matched)> parts, string behavior)
    {
        switch (behavior)
        {
            case "Isolated": return parts.Select(p => (p.Start, p.End));
            case "Removed": return parts.Where(p => !p.Matched).Select(p => (p.Start, p.End));
            case "Contiguous": return Fold(parts, (previous, current) => previous.Matched == current.Matched);
            case "MergedWithPrevious": return Fold(parts, (previous, current) => current.Matched && !previous.Matched);
            case "MergedWithNext": return Fold(parts, (previous, current) => previous.Matched && !current.Matched);
            default: return null;
        }
    }

    // A part joins the one before it where the rule on the two neighbors says so.
    private static List<(int, int)> Fold(List<(int Start, int End, bool Matched)> parts, Func<(int Start, int End, bool Matched), (int Start, int End, bool Matched), bool> joins)
    {
        var result = new List<(int Start, int End)>();
        for (int i = 0; i < parts.Count; i++)
            if (i > 0 && joins(parts[i - 1], parts[i])) result[^1] = (result[^1].Start, parts[i].End);
            else result.Add((parts[i].Start, parts[i].End));
        return result;
    }
}
