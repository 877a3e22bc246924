namespace Tare.Tokenizers.PreTokenizers;

/// <summary>A set of code points: a table for ASCII, a test for the others.</summary>
internal sealed class CodePointSet
{
    private readonly Func<int, bool> _accepts;
    private readonly ulong _low, _high; // bits of 0 … 63 and 64 … 127

    public CodePointSet(Func<int, bool> accepts)
    {
        _accepts = accepts;
        for (int p = 0; p < 64; p++)
        {
            if (accepts(p)) _low |= 1UL << p;
            if (accepts(p + 64)) _high |= 1UL << p;
        }
    }

    public bool Contains(int p) => (uint)p < 128 ? ((p < 64 ? _low : _high) >> p & 1) != 0 : _accepts(p);
}
