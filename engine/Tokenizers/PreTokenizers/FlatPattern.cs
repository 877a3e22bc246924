namespace Tare.Tokenizers.PreTokenizers;

/// <summary>
/// An alternative of a <see cref="CodePointPattern"/> without groups: a row of repeated sets and look-aheads. It is matched by plain loops over the text, which is what almost all expressions of tokenizers come down to.
/// </summary>
internal sealed class FlatPattern(FlatPattern.Step[] steps)
{
    /// <summary>The end of the match that starts at <paramref name="start"/>, or −1: greedy, giving back one by one.</summary>
    public int Match(ReadOnlySpan<int> text, int start) => From(0, text, start);

    /// <summary>Whether a match may begin with an ASCII code point; true where a match may be empty or look ahead first.</summary>
    public bool MayBeginWith(int codePoint)
    {
        foreach (var step in steps)
        {
            if (step.Ahead is not null || step.Set!.Contains(codePoint)) return true;
            if (step.Minimum > 0) return false;
        }
        return true;
    }

    private int From(int index, ReadOnlySpan<int> text, int at)
    {
        for (; index < steps.Length; index++)
        {
            var step = steps[index];
            if (step.Ahead is { } ahead)
            {
                if (ahead.Match(text, at) >= 0 != step.IsWanted) return -1;
                continue;
            }
            int end = at, limit = (int)Math.Min((long)at + step.Maximum, text.Length);
            while (end < limit && step.Set!.Contains(text[end])) end++;
            if (end - at < step.Minimum) return -1;
            if (!step.IsPossessive && step.Minimum != step.Maximum && index + 1 < steps.Length) return GiveBack(index, text, at + step.Minimum, end);
            at = end;
        }
        return at;
    }

    private int GiveBack(int index, ReadOnlySpan<int> text, int least, int end)
    {
        for (int stop = end; stop >= least; stop--)
            if (From(index + 1, text, stop) is >= 0 and int found) return found;
        return -1;
    }

    /// <summary>A repeated set, or a look-ahead.</summary>
    internal sealed class Step
    {
        public Step(CodePointSet set, int minimum, int maximum, bool possessive) => (Set, Minimum, Maximum, IsPossessive) = (set, minimum, maximum, possessive);

        public Step(FlatPattern ahead, bool wanted) => (Ahead, IsWanted) = (ahead, wanted);

        public CodePointSet? Set { get; }

        public int Minimum { get; }

        public int Maximum { get; }

        public bool IsPossessive { get; }

        public FlatPattern? Ahead { get; }

        public bool IsWanted { get; }
    }
}
