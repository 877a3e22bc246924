using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Tare.Execution.Edits;

/// <summary>What a slot of the edit table does: operations in order, and the row selections that they name. Immutable; operations that can change nothing are left out.</summary>
public sealed class EditEntry
{
    /// <summary>Selections that a row's mask has bits for.</summary>
    public const int MaximumSelections = 64;

    /// <summary>Creates an entry. Throws <see cref="ArgumentException"/> for more than <see cref="MaximumSelections"/> selections.</summary>
    public EditEntry(IEnumerable<EditOperation> operations, IEnumerable<RowSelection> selections)
    {
        Operations = [.. operations.Where(o => !o.IsIdle)];
        Selections = [.. selections];
        if (Selections.Length > MaximumSelections) throw new ArgumentException($"the edits choose rows in {Selections.Length} different ways; at most {MaximumSelections} are possible");
        Key = Hash();
    }

    /// <summary>The operations.</summary>
    public ImmutableArray<EditOperation> Operations { get; }

    /// <summary>The row selections.</summary>
    public ImmutableArray<RowSelection> Selections { get; }

    /// <summary>Table columns that it changes, ascending.</summary>
    public IEnumerable<int> Sites => Operations.Select(o => o.Site).Distinct().Order();

    /// <summary>A hash of all that it does: equal keys change equal rows equally.</summary>
    public UInt128 Key { get; }

    /// <summary>Bit i is set where selection i contains the row and an operation asks for it; 0 = the row stays.</summary>
    public ulong Rows(int position, int token, Phase phase, int promptTokens)
    {
        ulong rows = 0;
        foreach (var operation in Operations)
        {
            ulong bit = 1UL << operation.Selection;
            if ((rows & bit) == 0 && Selections[operation.Selection].Contains(position, token, phase != Phase.Prompt, promptTokens)) rows |= bit;
        }
        return rows;
    }

    /// <summary>The slots of consecutive rows of a sequence whose prompt has <paramref name="promptTokens"/> tokens, for an entry in <paramref name="slot"/>.</summary>
    public RowSlots[] Slots(int slot, ReadOnlySpan<int> tokens, int position, Phase phase, int promptTokens)
    {
        var slots = new RowSlots[tokens.Length];
        for (int i = 0; i < slots.Length; i++)
            if (Rows(position + i, tokens[i], phase, promptTokens) is > 0 and ulong rows) slots[i] = new RowSlots(0, slot, rows);
        return slots;
    }

    private UInt128 Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var o in Operations)
        {
            Add([o.Site, (int)o.Kind, o.Selection, o.Columns.Length, .. o.Columns.SelectMany(c => new double[] { c.First, c.Count }), o.Strength, o.Minimum, o.Maximum, o.Vector.Length, o.Direction.Length, o.Positions.Length, .. o.Positions.Select(p => (double)p)]);
            Add(o.Vector.AsSpan());
            Add(o.Direction.AsSpan());
        }
        foreach (var selection in Selections)
            for (var s = selection; s is not null; s = s.And)
                Add([s.And is null ? 0 : 1, s.Generated is bool g ? g ? 2 : 1 : 0, s.Positions.Length, .. s.Positions.SelectMany(p => new double[] { p.First, p.Last }), s.Tokens.Length, .. s.Tokens.Select(t => (double)t)]);
        return MemoryMarshal.Read<UInt128>(hash.GetHashAndReset());

        void Add(ReadOnlySpan<double> values) => hash.AppendData(MemoryMarshal.AsBytes(values));
    }
}
