using System.Runtime.InteropServices;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Graphs;

namespace Tare.Capture.Running;

/// <summary>A sequence of a capture run.</summary>
/// <param name="Tokens">Its tokens.</param>
/// <param name="FirstRow">Number of its first row in the run.</param>
public readonly record struct CaptureSequence(int[] Tokens, long FirstRow);

/// <summary>
/// Runs sequences through a capturing program and hands the wanted rows to a sink, in order of their numbers. Short sequences share steps; what a row gives does not depend on that. Generation is greedy, always of
/// the full number of tokens, one sequence at a time.
/// </summary>
public sealed class CaptureRunner : IDisposable
{
    private const int MaximumSequences = 64;

    private readonly IProgram _program;
    private readonly RunStates _states;
    private readonly KvLayout _kv;
    private readonly OutputId? _logits;
    private readonly int _batch, _vocabulary;
    private readonly Stack<int> _pages = new();
    private readonly Dictionary<long, List<int>> _tables = [];
    private readonly List<RowLabel> _labels = [];
    private readonly List<SequenceRows> _rows = [];
    private readonly List<RowSlots> _slots = [];
    private readonly List<int> _tokens = [], _table = [], _starts = [], _outputs = [], _ending = []; // of the step that is being put together; sequences whose pages come back after it

    /// <summary>Compiles over a weight store, for sequences of up to <paramref name="context"/> tokens with what is generated; <paramref name="edits"/> apply to each.</summary>
    public CaptureRunner(IBackend backend, IWeightStore weights, CaptureGraph capture, int context, int batch = 512, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default, StepEdits? edits = null)
    {
        Capture = capture;
        var kv = KvLayout.Of(capture.Graph);
        _batch = kv.Groups.IsEmpty ? context : Math.Min(batch, context);
        _program = backend.Compile(capture.Graph, weights, new ProgramLimits(_batch, MaximumSequences, 1), progress, cancel);
        _kv = _program.Signature.Kv;
        int pages = (context + _batch) / KvLayout.PageTokens + MaximumSequences + 2;
        _states = new RunStates(backend, new StateLayout(_kv, [.. _kv.Groups.Select(_ => pages)]), edits);
        for (int p = pages; p > 0; p--) _pages.Push(p - 1);
        if (capture.Graph.FindOutput(GraphBuilder.LogitsOutput) is not { } logits) return;
        _logits = _program.Signature.Output(GraphBuilder.LogitsOutput);
        _vocabulary = capture.Graph.TypeOf(logits).Width;
    }

    /// <summary>What is captured.</summary>
    public CaptureGraph Capture { get; }

    /// <summary>Runs sequences; rows for which <paramref name="wanted"/> (row number) is false are computed where later ones need them, and not handed on.</summary>
    public void Run(IReadOnlyList<CaptureSequence> sequences, ICaptureSink sink, int generate = 0, Func<long, bool>? wanted = null, Action<long>? done = null, CancellationToken cancel = default)
    {
        if (generate > 0 && _logits is null) throw new ArgumentException("the model has no head, so it can't generate");
        using var drain = new CaptureDrain(Capture.Outputs, _program.Signature, sink, CaptureDrain.BlockRows(Capture.Outputs));
        for (int s = 0; s < sequences.Count; s++)
        {
            int last = LastWanted(sequences[s], generate, wanted);
            if (last < 0) continue;
            int prompt = Math.Min(last + 1, sequences[s].Tokens.Length);
            for (int at = 0; at < prompt;)
            {
                if (!Fits(prompt - at)) Step(drain, cancel);
                int count = Math.Min(prompt - at, Room);
                Add(sequences[s], s, at, sequences[s].Tokens.AsSpan(at, count), Phase.Prompt, wanted, at + count == prompt && generate > 0);
                at += count;
            }
            if (generate == 0) _ending.Add(s);
            if (generate > 0) Generate(sequences[s], s, last, drain, wanted, cancel);
            done?.Invoke(sequences[s].FirstRow + prompt);
        }
        Step(drain, cancel);
        drain.Finish();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _program.Dispose();
        _states.Dispose();
    }

    private int Room => _batch - _tokens.Count;

    // A sequence that fits no more waits for the next step, unless it is longer than any step; encoders see it whole or not at all.
    private bool Fits(int count) => _rows.Count < MaximumSequences && Room > 0 && (count <= Room || (count > _batch && _tokens.Count == 0));

    private static int LastWanted(CaptureSequence sequence, int generate, Func<long, bool>? wanted)
    {
        int rows = sequence.Tokens.Length + generate;
        if (wanted is null) return rows - 1;
        // Chunks are long runs of numbers, so the last wanted row is near the end or the sequence is cut once.
        for (int r = rows - 1; r >= 0; r--)
            if (wanted(sequence.FirstRow + r)) return r;
        return -1;
    }

    private void Generate(CaptureSequence sequence, int number, int last, CaptureDrain drain, Func<long, bool>? wanted, CancellationToken cancel)
    {
        int next = Step(drain, cancel);
        for (int position = sequence.Tokens.Length; position <= last; position++)
        {
            Add(sequence, number, position, [next], Phase.Generated, wanted, true);
            next = Step(drain, cancel);
        }
        Free(number);
    }

    private void Add(CaptureSequence sequence, int number, int position, ReadOnlySpan<int> tokens, Phase phase, Func<long, bool>? wanted, bool output)
    {
        _rows.Add(new SequenceRows(number, _tokens.Count, tokens.Length, position, phase, Math.Max(sequence.Tokens.Length, position + tokens.Length)));
        for (int i = 0; i < tokens.Length; i++)
        {
            long row = sequence.FirstRow + position + i;
            _labels.Add(new RowLabel(wanted is null || wanted(row) ? row : -1, number, position + i, tokens[i], phase));
        }
        _tokens.AddRange(tokens);
        _slots.AddRange(_states.Slots(tokens, position, phase, sequence.Tokens.Length));
        if (output) _outputs.Add(_tokens.Count - 1);
        if (_kv.Groups.IsEmpty) return;
        if (!_tables.TryGetValue(number, out var table)) _tables.Add(number, table = []);
        while (table.Count * KvLayout.PageTokens < position + tokens.Length) table.Add(_pages.Pop());
    }

    // Runs what was added; the greedy choice of the last output row, or −1.
    private int Step(CaptureDrain drain, CancellationToken cancel)
    {
        if (_rows.Count == 0) return -1;
        cancel.ThrowIfCancellationRequested();
        _table.Clear();
        _starts.Clear();
        if (!_kv.Groups.IsEmpty) _starts.Add(0);
        foreach (var sequence in _rows)
            for (int g = 0; g < _kv.Groups.Length; g++)
            {
                _table.AddRange(_tables[sequence.Slot]);
                _starts.Add(_table.Count);
            }
        var ticket = _program.Enqueue(new Step
        {
            Sequences = CollectionsMarshal.AsSpan(_rows),
            Tokens = CollectionsMarshal.AsSpan(_tokens),
            Pages = CollectionsMarshal.AsSpan(_table),
            PageStarts = CollectionsMarshal.AsSpan(_starts),
            OutputRows = CollectionsMarshal.AsSpan(_outputs),
            Slots = CollectionsMarshal.AsSpan(_slots),
        }, _states.All);
        _program.Wait(ticket, cancel);
        drain.Append(_program, ticket, CollectionsMarshal.AsSpan(_labels));
        int choice = -1;
        if (_outputs.Count > 0) choice = IndexOfLargest(_program.Output<float>(ticket, _logits!.Value)[^_vocabulary..]);
        _program.Release(ticket);
        foreach (int number in _ending) Free(number);
        _ending.Clear();
        _rows.Clear();
        _slots.Clear();
        _tokens.Clear();
        _labels.Clear();
        _outputs.Clear();
        return choice;
    }

    private static int IndexOfLargest(ReadOnlySpan<float> values)
    {
        int best = 0;
        for (int i = 1; i < values.Length; i++)
            if (values[i] > values[best]) best = i;
        return best;
    }

    private void Free(long number)
    {
        if (!_tables.Remove(number, out var table)) return;
        foreach (int page in table) _pages.Push(page);
    }
}
