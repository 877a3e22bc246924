using System.Collections.Immutable;

namespace Tare.Execution.Edits;

/// <summary>The shape of an edit table.</summary>
/// <param name="Widths">[sites] elements of a row at each site.</param>
/// <param name="Slots">Slots, slot 0 (untouched) included.</param>
public sealed record EditTableLayout(ImmutableArray<int> Widths, int Slots)
{
    /// <inheritdoc/>
    public bool Equals(EditTableLayout? other) => other is not null && Slots == other.Slots && Widths.SequenceEqual(other.Widths);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Slots, Widths.Length);
}

/// <summary>What the slots of <see cref="RowSlots.Edit"/> mean, as part of a state: programs with <see cref="Graphs.Ops.Edit"/> nodes read it. A slot may be written between steps; steps that were enqueued before are not touched.</summary>
public class EditTable
{
    private readonly EditEntry?[] _entries; // [slots]

    /// <summary>An empty table.</summary>
    public EditTable(EditTableLayout layout)
    {
        if (layout.Slots < 1) throw new ArgumentException($"an edit table of {layout.Slots} slots");
        (Layout, _entries) = (layout, new EditEntry?[layout.Slots]);
    }

    /// <summary>Its shape.</summary>
    public EditTableLayout Layout { get; }

    /// <summary>Device bytes.</summary>
    public virtual long Bytes => 0;

    /// <summary>The entry of a slot, or null.</summary>
    public EditEntry? this[int slot] => _entries[slot];

    /// <summary>Writes a slot, or empties it. Throws <see cref="ArgumentException"/> for slot 0, and for operations that don't fit their site.</summary>
    public void Write(int slot, EditEntry? entry)
    {
        if (slot < 1 || slot >= Layout.Slots) throw new ArgumentException($"edit slot {slot}: a table of {Layout.Slots} has 1 … {Layout.Slots - 1} to write");
        foreach (var operation in entry?.Operations ?? [])
        {
            if (operation.Site < 0 || operation.Site >= Layout.Widths.Length) throw new ArgumentException($"site {operation.Site} of {Layout.Widths.Length}");
            operation.Check(Layout.Widths[operation.Site], entry!.Selections.Length);
        }
        _entries[slot] = entry;
        Store(slot, entry);
    }

    /// <summary>Copies a checked entry to the device.</summary>
    protected virtual void Store(int slot, EditEntry? entry) { }
}
