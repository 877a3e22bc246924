namespace Tare.Tokenizers;

/// <summary>Finds the tokens that are cut out of a text before anything else: leftmost, and the longest of those that begin at one place.</summary>
internal sealed class SpecialTokens
{
    private readonly Dictionary<char, (string Text, int Id)[]> _byFirst;
    private readonly IReadOnlySet<int> _stripLeft, _stripRight;

    /// <summary>Tokens; the white space in front of those in <paramref name="stripLeft"/> and behind those in <paramref name="stripRight"/> belongs to them.</summary>
    public SpecialTokens(IEnumerable<(string Text, int Id)> tokens, IReadOnlySet<int> stripLeft, IReadOnlySet<int> stripRight)
        => (_stripLeft, _stripRight, _byFirst) = (stripLeft, stripRight, tokens.Where(t => t.Text.Length > 0).GroupBy(t => t.Text[0]).ToDictionary(g => g.Key, g => g.OrderByDescending(t => t.Text.Length).ToArray()));

    /// <summary>Calls back for each stretch of plain text and each token, in order.</summary>
    public void Partition(string text, Action<int, int> plain, Action<int> token)
    {
        int start = 0;
        for (int at = 0; at < text.Length;)
        {
            var found = _byFirst.TryGetValue(text[at], out var candidates) ? Array.Find(candidates, c => string.CompareOrdinal(text, at, c.Text, 0, c.Text.Length) == 0) : default;
            if (found.Text is null)
            {
                at++;
                continue;
            }
            int end = at;
            while (_stripLeft.Contains(found.Id) && end > start && IsSpace(text[end - 1])) end--;
            if (start < end) plain(start, end);
            token(found.Id);
            at += found.Text.Length;
            while (_stripRight.Contains(found.Id) && at < text.Length && IsSpace(text[at])) at++;
            start = at;
        }
        if (start < text.Length) plain(start, text.Length);
    }

    private static bool IsSpace(char c) => c is ' ' or >= '\t' and <= '\r';
}
