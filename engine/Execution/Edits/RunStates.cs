namespace Tare.Execution.Edits;

/// <summary>The states of a program that a tool feeds itself: its caches and, where rows are edited, the table of the edits.</summary>
public sealed class RunStates : IDisposable
{
    private readonly StepEdits? _edits;
    private readonly IState? _table;

    /// <summary>Creates both; <paramref name="edits"/> apply to every sequence. Throws <see cref="UnsupportedOpException"/> where the backend has no edit tables.</summary>
    public RunStates(IBackend backend, StateLayout caches, StepEdits? edits)
    {
        (_edits, Caches) = (edits, backend.CreateState(caches));
        try
        {
            _table = edits?.CreateState(backend);
        }
        catch
        {
            Caches.Dispose();
            throw;
        }
        All = _table is null ? [Caches] : [Caches, _table];
    }

    /// <summary>The caches.</summary>
    public IState Caches { get; }

    /// <summary>What a step is enqueued with.</summary>
    public IState[] All { get; }

    /// <summary>Table slots of consecutive rows of a sequence whose prompt has <paramref name="promptTokens"/> tokens; empty without edits.</summary>
    public RowSlots[] Slots(ReadOnlySpan<int> tokens, int position, Phase phase, int promptTokens) => _edits?.Slots(tokens, position, phase, promptTokens) ?? [];

    /// <inheritdoc/>
    public void Dispose()
    {
        Caches.Dispose();
        _table?.Dispose();
    }
}
