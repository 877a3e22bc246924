namespace Tare.Generation.Sampling;

/// <summary>
/// DRY ("don't repeat yourself", p-e-w 2024): a token that would prolong a repetition of what already stands in the text loses multiplier · base^(n − allowed), n being the length of the repeated sequence before it.
/// Repetitions don't reach across sequence breakers. O(n) by the Z-function of the reversed text (Gusfield 1997).
/// </summary>
internal sealed class Dry(SamplingOptions options, IReadOnlySet<int> breakers, int vocabulary) : ISamplingStep
{
    private static readonly double LargestExponent = Math.Log(float.MaxValue);

    private readonly int[] _longest = new int[vocabulary]; // repeated sequence that the token would prolong; 0 outside of Apply
    private int[] _match = new int[1024];                  // [n]: common prefix of the reversed text and its tail from i on

    public void Apply(Candidates candidates, ReadOnlySpan<int> past, SamplingDraws draws)
    {
        var recent = options.DryPenaltyTokens < 0 || options.DryPenaltyTokens > past.Length ? past : past[^options.DryPenaltyTokens..];
        int reach = 0;
        while (reach < recent.Length && !breakers.Contains(recent[^(reach + 1)])) reach++;
        if (reach < options.DryAllowedLength) return;
        Match(recent);
        for (int i = 1; i < recent.Length; i++)
        {
            int length = Math.Min(_match[i], reach), next = recent[^i];
            if (length >= options.DryAllowedLength && (uint)next < (uint)_longest.Length) _longest[next] = Math.Max(_longest[next], length);
        }
        var logits = candidates.Logits;
        double mostExponent = options.DryBase > 1 ? LargestExponent / Math.Log(options.DryBase) : double.MaxValue;
        foreach (int id in recent)
        {
            if ((uint)id >= (uint)_longest.Length || _longest[id] == 0) continue;
            logits[id] -= (float)(options.DryMultiplier * Math.Pow(options.DryBase, Math.Min(_longest[id] - options.DryAllowedLength, mostExponent)));
            _longest[id] = 0;
        }
        candidates.Changed();
    }

    private void Match(ReadOnlySpan<int> text)
    {
        int n = text.Length;
        if (_match.Length < n) _match = new int[Math.Max(n, 2 * _match.Length)];
        for (int i = 1, left = 0, right = 0; i < n; i++)
        {
            int length = i < right ? Math.Min(right - i, _match[i - left]) : 0;
            while (i + length < n && text[n - 1 - length] == text[n - 1 - i - length]) length++;
            _match[i] = length;
            if (i + length > right) (left, right) = (i, i + length);
        }
    }
}
