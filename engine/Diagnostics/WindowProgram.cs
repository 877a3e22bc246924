using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Graphs;

namespace Tare.Diagnostics;

/// <summary>Logits of one window after another, each from an empty cache, some rows at a time: never those of a whole text.</summary>
internal sealed class WindowProgram : IDisposable
{
    private const long MaximumLogits = 1 << 25; // of a step: 128 MiB

    private readonly IWeightStore _weights;
    private readonly IProgram _program;
    private readonly RunStates _states;
    private readonly OutputId _output;
    private readonly int[] _table, _starts;

    public WindowProgram(IBackend backend, Graph graph, int context, CancellationToken cancel = default, StepEdits? edits = null)
    {
        Vocabulary = graph.TypeOf(graph.FindOutput(GraphBuilder.LogitsOutput)!.Value).Width;
        Rows = (int)Math.Clamp(MaximumLogits / Vocabulary, 1, Math.Min(512, context));
        _weights = backend.CreateWeightStore();
        _program = backend.Compile(graph, _weights, new ProgramLimits(Rows, 1, Rows), cancel: cancel);
        _states = new RunStates(backend, StateLayout.ForOneSequence(_program.Signature.Kv, context, Rows), edits);
        _output = _program.Signature.Output(GraphBuilder.LogitsOutput);
        (_table, _starts) = _states.Caches.Layout.TablesOfOneSequence(context);
    }

    /// <summary>Width of a row of logits.</summary>
    public int Vocabulary { get; }

    /// <summary>Rows of a step at most.</summary>
    public int Rows { get; }

    /// <summary>Logits [count, vocabulary] of the rows from <paramref name="at"/> on; rows are asked for in order.</summary>
    public float[] Run(int[] window, int at, int count, CancellationToken cancel)
    {
        var ticket = _program.Enqueue(new Step
        {
            Sequences = [new SequenceRows(0, 0, count, at, Phase.Prompt, window.Length)],
            Tokens = window.AsSpan(at, count),
            Pages = _table,
            PageStarts = _starts,
            OutputRows = Enumerable.Range(0, count).ToArray(),
            Slots = _states.Slots(window.AsSpan(at, count), at, Phase.Prompt, window.Length),
        }, _states.All);
        _program.Wait(ticket, cancel);
        float[] values = _program.Output<float>(ticket, _output).ToArray(); // a span can't cross into the threads that score
        _program.Release(ticket);
        return values;
    }

    /// <summary>The windows of a text: consecutive, with BOS in front where there is one; the incomplete last one is dropped. Throws <see cref="ArgumentException"/> where there is none.</summary>
    public static int[][] Cut(ReadOnlySpan<int> ids, int? beginning, int context)
    {
        if (context < 4) throw new ArgumentException($"a window of {context} tokens is too short (at least 4)");
        int text = beginning is null ? context : context - 1;
        var windows = new int[ids.Length / text][];
        if (windows.Length == 0) throw new ArgumentException($"the text has {ids.Length} tokens, a window needs {text}");
        for (int w = 0; w < windows.Length; w++) windows[w] = beginning is int bos ? [bos, .. ids.Slice(w * text, text)] : ids.Slice(w * text, text).ToArray();
        return windows;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _states.Dispose();
        _program.Dispose();
        _weights.Dispose();
    }
}
