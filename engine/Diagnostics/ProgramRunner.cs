using Tare.Execution;
using Tare.Graphs;

namespace Tare.Diagnostics;

/// <summary>One compiled graph with caches for one sequence, fed chunk by chunk; every row is an output row.</summary>
internal sealed class ProgramRunner : IDisposable
{
    private readonly IWeightStore _weights;
    private readonly IProgram _program;
    private readonly IState _state;
    private readonly int _pages;
    private StepTicket? _ticket;

    public ProgramRunner(IBackend backend, Graph graph, int context, int chunk, CancellationToken cancel = default)
    {
        _weights = backend.CreateWeightStore();
        _program = backend.Compile(graph, _weights, new ProgramLimits(chunk, 1, chunk), cancel: cancel);
        _pages = (context + KvLayout.PageTokens - 1) / KvLayout.PageTokens;
        _state = backend.CreateState(new StateLayout(_program.Signature.Kv, [.. _program.Signature.Kv.Groups.Select(_ => _pages)]));
    }

    /// <summary>Feeds the tokens at <paramref name="position"/> of a sequence of <paramref name="length"/>; a sequence begins at 0 and forgets the one before.</summary>
    public void Step(ReadOnlySpan<int> tokens, int position, int length, CancellationToken cancel)
    {
        if (_ticket is { } last) _program.Release(last);
        int groups = _state.Layout.Kv.Groups.Length, pages = _pages;
        _ticket = _program.Enqueue(new Step
        {
            Sequences = [new SequenceRows(0, 0, tokens.Length, position, Phase.Prompt, length)],
            Tokens = tokens,
            Pages = [.. Enumerable.Range(0, groups).SelectMany(_ => Enumerable.Range(0, pages))],
            PageStarts = groups == 0 ? [] : [.. Enumerable.Range(0, groups + 1).Select(g => g * pages)],
            OutputRows = [.. Enumerable.Range(0, tokens.Length)],
        }, groups == 0 ? [] : [_state]);
        _program.Wait(_ticket.Value, cancel);
    }

    /// <summary>An output of the last step: [rows, width].</summary>
    public ReadOnlySpan<T> Output<T>(string name) where T : unmanaged => _program.Output<T>(_ticket!.Value, _program.Signature.Output(name));

    public void Dispose()
    {
        _state.Dispose();
        _program.Dispose();
        _weights.Dispose();
    }
}
