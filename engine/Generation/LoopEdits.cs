using System.Collections.Immutable;
using Tare.Execution;
using Tare.Execution.Edits;

namespace Tare.Generation;

/// <summary>The edits of the requests that run: who has which slot of the edit table (equal edits share one), and which sites are changed. Used by the loop's thread alone.</summary>
internal sealed class LoopEdits(ProgramVariants variants, int sequences) : IDisposable
{
    private readonly Dictionary<UInt128, Slot> _slots = [];
    private readonly Stack<int> _free = new(Enumerable.Range(1, sequences).Reverse());
    private IState? _table;

    /// <summary>The state with the table; null until a request has edits.</summary>
    public IState? Table => _table;

    /// <summary>Columns of the table that running requests change, ascending.</summary>
    public ImmutableArray<int> Sites { get; private set; } = [];

    /// <summary>The slot of an entry, written.</summary>
    public int Acquire(EditEntry entry)
    {
        _table ??= variants.CreateTable(sequences);
        if (!_slots.TryGetValue(entry.Key, out var slot))
        {
            int number = _free.Peek();
            _table.Edits!.Write(number, entry);
            _slots.Add(entry.Key, slot = new Slot(_free.Pop(), entry));
            CollectSites();
        }
        slot.Users++;
        return slot.Number;
    }

    /// <summary>Gives a slot back.</summary>
    public void Release(EditEntry entry)
    {
        var slot = _slots[entry.Key];
        if (--slot.Users > 0) return;
        _slots.Remove(entry.Key);
        _table!.Edits!.Write(slot.Number, null);
        _free.Push(slot.Number);
        CollectSites();
    }

    /// <inheritdoc/>
    public void Dispose() => _table?.Dispose();

    private void CollectSites() => Sites = [.. _slots.Values.SelectMany(s => s.Entry.Sites).Distinct().Order()];

    private sealed class Slot(int number, EditEntry entry)
    {
        public int Number => number;

        public EditEntry Entry => entry;

        public int Users { get; set; }
    }
}
