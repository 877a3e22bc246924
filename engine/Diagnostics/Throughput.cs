using System.Diagnostics;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Graphs;

namespace Tare.Diagnostics;

/// <summary>One kind of run: a prompt of N tokens in one go, N tokens one after the other, or the one and then the other, behind <paramref name="Depth"/> cached tokens.</summary>
/// <param name="Prompt">Tokens read in, or 0.</param>
/// <param name="Generate">Tokens generated, or 0.</param>
/// <param name="Depth">Tokens in the cache before.</param>
public readonly record struct ThroughputTest(int Prompt, int Generate, int Depth)
{
    /// <summary>The name that llama-bench gives: pp512, tg128 @ d2048, pp512+tg128.</summary>
    public override string ToString() => (Prompt > 0 && Generate > 0 ? $"pp{Prompt}+tg{Generate}" : Prompt > 0 ? $"pp{Prompt}" : $"tg{Generate}") + (Depth > 0 ? $" @ d{Depth}" : "");
}

/// <summary>Measures tokens per second of a program, as llama-bench does: random tokens, one warm-up, then repetitions of which each starts from the same depth.</summary>
public sealed class Throughput : IDisposable
{
    private readonly RunStates _states;
    private readonly int _vocabulary, _batch;
    private readonly int[] _pages, _starts;
    private readonly Random _random = new(1);
    private int _cached; // positions from 0 on that were computed

    /// <summary>Compiles for tests of up to <paramref name="tokens"/> tokens behind up to <paramref name="depth"/> others; rows are edited where <paramref name="edits"/> say so (a test's prompt ends where its generated tokens begin).</summary>
    public Throughput(IBackend backend, Graph graph, IWeightStore weights, int depth, int tokens, int batch = 512, StepEdits? edits = null)
    {
        _batch = Math.Min(batch, Math.Max(depth, tokens));
        Program = backend.Compile(graph, weights, new ProgramLimits(_batch, 1, 1));
        // Each repetition starts from the same depth, so windowed groups keep what lies behind a whole test.
        _states = new RunStates(backend, StateLayout.ForOneSequence(Program.Signature.Kv, depth + tokens, _batch + tokens), edits);
        (_pages, _starts) = _states.Caches.Layout.TablesOfOneSequence(depth + tokens);
        _vocabulary = graph.TypeOf(graph.FindOutput(GraphBuilder.LogitsOutput) ?? throw new GraphException("the model has no head")).Width;
    }

    /// <summary>The program that runs.</summary>
    public IProgram Program { get; }

    /// <summary>Seconds of each repetition, after a warm-up.</summary>
    public double[] Run(ThroughputTest test, int repetitions, CancellationToken cancel = default)
    {
        WarmUp(test, cancel);
        return Repeat(test, repetitions, cancel);
    }

    /// <summary>Fills the cache up to the test's depth and runs its prompt and a few of its generated tokens.</summary>
    public void WarmUp(ThroughputTest test, CancellationToken cancel = default)
    {
        // Rows that other tests left count: only that they are there matters to the time.
        if (test.Depth > _cached) Read(_cached, test.Depth, cancel);
        Once(test with { Generate = Math.Min(4, test.Generate) }, cancel);
    }

    /// <summary>Seconds of each repetition of a test that was warmed up.</summary>
    public double[] Repeat(ThroughputTest test, int repetitions, CancellationToken cancel = default)
    {
        var seconds = new double[repetitions];
        for (int r = 0; r < repetitions; r++)
        {
            var clock = Stopwatch.StartNew();
            Once(test, cancel);
            seconds[r] = clock.Elapsed.TotalSeconds;
        }
        return seconds;
    }

    /// <summary>Bytes of the pages that a sequence of the test's length holds in the end.</summary>
    public long CacheBytes(ThroughputTest test)
        => Program.Signature.Kv.Groups.Select((g, i) => (long)g.PagesNeeded(test.Depth + test.Prompt + test.Generate, test.Prompt == 0 ? 1 : _batch) * _states.Caches.PageBytes(i)).Sum();

    /// <summary>Steps in which a prompt is read; each gives the logits of its last token.</summary>
    public int StepsOf(int prompt) => (prompt + _batch - 1) / _batch;

    /// <summary>Bytes of keys and values that a generated token reads, on average over the test.</summary>
    public double CacheBytesRead(ThroughputTest test)
        => Program.Signature.Kv.Groups.Select((g, i) => Math.Min(test.Depth + (test.Generate + 1) / 2.0, g.Window ?? double.PositiveInfinity) * _states.Caches.PageBytes(i) / KvLayout.PageTokens).Sum();

    /// <inheritdoc/>
    public void Dispose()
    {
        _states.Dispose();
        Program.Dispose();
    }

    private void Once(ThroughputTest test, CancellationToken cancel)
    {
        if (test.Prompt > 0) Read(test.Depth, test.Depth + test.Prompt, cancel);
        for (int i = 0; i < test.Generate; i++) Step(test.Depth + test.Prompt + i, 1, Phase.Generated, test.Depth + test.Prompt, cancel);
    }

    private void Read(int first, int end, CancellationToken cancel)
    {
        for (int at = first; at < end; at += _batch) Step(at, Math.Min(_batch, end - at), Phase.Prompt, end, cancel);
    }

    private void Step(int position, int rows, Phase phase, int promptTokens, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        int[] tokens = Enumerable.Range(0, rows).Select(_ => _random.Next(_vocabulary)).ToArray();
        var ticket = Program.Enqueue(new Step
        {
            Sequences = [new SequenceRows(0, 0, rows, position, phase, position + rows)],
            Tokens = tokens,
            Pages = _pages,
            PageStarts = _starts,
            OutputRows = [rows - 1],
            Slots = _states.Slots(tokens, position, phase, promptTokens),
        }, _states.All);
        Program.Wait(ticket, cancel);
        Program.Release(ticket);
        _cached = Math.Max(_cached, position + rows);
    }
}
