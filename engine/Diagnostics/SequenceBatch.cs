using Tare.Execution;
using Tare.Graphs;

namespace Tare.Diagnostics;

/// <summary>A compiled model with caches for some sequences of equal length that are read in, or continued, in the same step: random tokens, for timings.</summary>
internal sealed class SequenceBatch : IDisposable
{
    private readonly IState _state;
    private readonly int _batch, _sequence, _vocabulary;
    private readonly int[] _pages, _starts, _last;
    private readonly Random _random = new(1);

    /// <summary>Compiles for <paramref name="batch"/> prompts of <paramref name="sequence"/> tokens in one step, continued by up to <paramref name="generate"/> tokens each.</summary>
    public SequenceBatch(IBackend backend, Graph graph, IWeightStore weights, int batch, int sequence, int generate, CancellationToken cancel)
    {
        (_batch, _sequence) = (batch, sequence);
        Program = backend.Compile(graph, weights, new ProgramLimits(checked(batch * sequence), batch, batch), cancel: cancel);
        var kv = Program.Signature.Kv;
        int groups = kv.Groups.Length, pages = (sequence + generate + KvLayout.PageTokens - 1) / KvLayout.PageTokens;
        _state = backend.CreateState(new StateLayout(kv, [.. kv.Groups.Select(_ => batch * pages)]));
        _pages = [.. Enumerable.Range(0, batch).SelectMany(s => Enumerable.Range(0, groups).SelectMany(_ => Enumerable.Range(s * pages, pages)))];
        _starts = [.. Enumerable.Range(0, batch * groups + 1).Select(i => i * pages)];
        _last = [.. Enumerable.Range(1, batch).Select(i => i * sequence - 1)];
        _vocabulary = graph.TypeOf(graph.FindOutput(GraphBuilder.LogitsOutput) ?? throw new GraphException("the model has no head")).Width;
    }

    /// <summary>The program that runs.</summary>
    public IProgram Program { get; }

    /// <summary>Reads the prompts in, in one step.</summary>
    public void Prefill(CancellationToken cancel) => Step(0, _sequence, Phase.Prompt, _last, cancel);

    /// <summary>Continues every prompt by a number of tokens, one step for each.</summary>
    public void Decode(int tokens, CancellationToken cancel)
    {
        int[] outputs = [.. Enumerable.Range(0, _batch)];
        for (int i = 0; i < tokens; i++) Step(_sequence + i, 1, Phase.Generated, outputs, cancel);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _state.Dispose();
        Program.Dispose();
    }

    private void Step(int position, int rows, Phase phase, int[] outputs, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var ticket = Program.Enqueue(new Step
        {
            Sequences = Enumerable.Range(0, _batch).Select(s => new SequenceRows(s, s * rows, rows, position, phase, position + rows)).ToArray(),
            Tokens = Enumerable.Range(0, _batch * rows).Select(_ => _random.Next(_vocabulary)).ToArray(),
            Pages = _pages,
            PageStarts = _starts,
            OutputRows = outputs,
        }, [_state]);
        Program.Wait(ticket, cancel);
        Program.Release(ticket);
    }
}
