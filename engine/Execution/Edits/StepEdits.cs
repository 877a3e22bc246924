namespace Tare.Execution.Edits;

/// <summary>The edits of all sequences that a tool runs one after the other: one entry, in slot 1 of a table of its own.</summary>
/// <param name="Entry">What they are.</param>
/// <param name="Table">Shape of the table.</param>
public sealed record StepEdits(EditEntry Entry, EditTableLayout Table)
{
    /// <summary>A state with the table, the entry written.</summary>
    public IState CreateState(IBackend backend)
    {
        var state = backend.CreateState(StateLayout.ForEdits(Table));
        (state.Edits ?? throw new UnsupportedOpException($"{backend.Device.Name} ({backend.Device.Backend}) has no edit tables")).Write(1, Entry);
        return state;
    }

    /// <summary>Slots of consecutive rows of a sequence.</summary>
    public RowSlots[] Slots(ReadOnlySpan<int> tokens, int position, Phase phase, int promptTokens) => Entry.Slots(1, tokens, position, phase, promptTokens);
}
