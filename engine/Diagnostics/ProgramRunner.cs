using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Graphs;

namespace Tare.Diagnostics;

/// <summary>One compiled graph with caches for one sequence, fed chunk by chunk; every row is an output row.</summary>
internal sealed class ProgramRunner : IDisposable
{
    private readonly IWeightStore _weights;
    private readonly IProgram _program;
    private readonly RunStates _states;
    private readonly int _pages;
    private StepTicket? _ticket;

    public ProgramRunner(IBackend backend, Graph graph, int context, int chunk, CancellationToken cancel = default, StepEdits? edits = null)
    {
        _weights = backend.CreateWeightStore();
        _program = backend.Compile(graph, _weights, new ProgramLimits(chunk, 1, chunk), cancel: cancel);
        _pages = (context + KvLayout.PageTokens - 1) / KvLayout.PageTokens;
        _states = new RunStates(backend, new StateLayout(_program.Signature.Kv, [.. _program.Signature.Kv.Groups.Select(_ => _pages)]), edits);
    }

    /// <summary>Feeds the tokens at <paramref name="position"/> of a sequence of <paramref name="length"/>; a sequence begins at 0 and forgets the one before.</summary>
    public void Step(ReadOnlySpan<int> tokens, int position, int length, CancellationToken cancel)
    {
        if (_ticket is { } last) _program.Release(last);
        int groups = _states.Caches.Layout.Kv.Groups.Length, pages = _pages;
        _ticket = _program.Enqueue(new Step
        {
            Sequences = [new SequenceRows(0, 0, tokens.Length, position, Phase.Prompt, length)],
            Tokens = tokens,
            Pages = [.. Enumerable.Range(0, groups).SelectMany(_ => Enumerable.Range(0, pages))],
            PageStarts = groups == 0 ? [] : [.. Enumerable.Range(0, groups + 1).Select(g => g * pages)],
            OutputRows = [.. Enumerable.Range(0, tokens.Length)],
            Slots = _states.Slots(tokens, position, Phase.Prompt, length),
        }, _states.All);
        _program.Wait(_ticket.Value, cancel);
    }

    /// <summary>An output of the last step: [rows, width].</summary>
    public ReadOnlySpan<T> Output<T>(string name) where T : unmanaged => _program.Output<T>(_ticket!.Value, _program.Signature.Output(name));

    public void Dispose()
    {
        _states.Dispose();
        _program.Dispose();
        _weights.Dispose();
    }
}
