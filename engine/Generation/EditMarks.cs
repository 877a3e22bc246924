namespace Tare.Generation;

/// <summary>Which rows of a sequence were edited and by what: part of what cached positions are, as keys and values behind an edited row differ from those of the same tokens without the edit.</summary>
/// <param name="Key">Of the edits (<see cref="Execution.Edits.EditEntry.Key"/>).</param>
/// <param name="Rows">[positions] row selections that applied; null = no row was edited.</param>
internal readonly record struct EditMarks(UInt128 Key, ulong[]? Rows)
{
    /// <summary>What was done to a position; 0 = nothing.</summary>
    public ulong this[int position] => Rows is not null && position < Rows.Length ? Rows[position] : 0;

    /// <summary>Whether any of some positions was edited.</summary>
    public bool Any(int first, int count)
    {
        for (int p = first; p < first + count; p++)
            if (this[p] != 0) return true;
        return false;
    }

    /// <summary>How many of the first <paramref name="length"/> positions were treated alike.</summary>
    public int CommonLength(EditMarks other, int length)
    {
        for (int p = 0; p < length; p++)
            if (this[p] != other[p] || (this[p] != 0 && Key != other.Key)) return p;
        return length;
    }
}
