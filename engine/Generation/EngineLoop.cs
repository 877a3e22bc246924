using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Generation;

/// <summary>How a loop shares its program.</summary>
/// <param name="Context">Most tokens of a sequence.</param>
/// <param name="Sequences">Most sequences that run at a time.</param>
/// <param name="BatchTokens">Most rows of a step.</param>
internal sealed record LoopLimits(int Context, int Sequences, int BatchTokens);

/// <summary>
/// One thread that owns a program and its state: schedule → enqueue → postprocess. Sessions post requests and read channels; they never touch the program. Generating sequences get one row a step each, the
/// rest of a step goes to prompts in order of arrival. A request is admitted when the pages that it may need at most are there, so a running request never lacks one.
/// </summary>
internal sealed class EngineLoop : IAsyncDisposable
{
    private readonly IProgram _plain;
    private readonly ProgramVariants _variants;
    private readonly LoopEdits _edits;
    private IProgram _program; // the plain one, or the variant of a capture or of edits
    private ImmutableArray<int> _programEdits = []; // columns of the edit table that it changes
    private readonly IState[] _states;
    private IState[] _editedStates = []; // with the edit table
    private readonly KvPages _pages;
    private readonly KvLayout _kv;
    private readonly LoopLimits _limits;
    private readonly IReadOnlySet<int> _ends;
    private OutputId _logits;
    private readonly int _vocabulary;
    private readonly bool _reuse;
    private readonly Thread _thread;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Channel<Action> _commands = Channel.CreateUnbounded<Action>(new UnboundedChannelOptions { SingleReader = true });
    private readonly LinkedList<Request> _waiting = new();
    private readonly List<Request> _running = [];
    private readonly List<Session> _idle = [];  // sessions that hold pages, oldest first
    private readonly long[] _reserved;          // [groups] pages promised to running requests
    private readonly List<int> _pageTable = [], _pageStarts = [], _outputs = [], _tokens = [];
    private readonly List<SequenceRows> _rows = [];
    private readonly List<(Request Request, bool Output)> _scheduled = [];
    private readonly List<RowSlots> _slots = []; // of the step's rows; empty where no running request has edits
    private LoopCapture? _capture;
    private bool _disposing;

    public EngineLoop(IProgram program, IState state, ProgramVariants variants, LoopLimits limits, IReadOnlySet<int> ends)
    {
        (_variants, _edits) = (variants, new LoopEdits(variants, limits.Sequences));
        (_plain, _program, _limits, _ends, _kv) = (program, program, limits, ends, state.Layout.Kv);
        _states = _kv.Groups.IsEmpty ? [] : [state];
        _pages = new KvPages(state.Layout, state.CopyPage);
        _reserved = new long[_kv.Groups.Length];
        PagesPerGroup = [.. state.Layout.PagesPerGroup];
        var graph = program.Signature.Graph;
        _logits = program.Signature.Output(GraphBuilder.LogitsOutput);
        _vocabulary = graph.TypeOf(graph.FindOutput(GraphBuilder.LogitsOutput)!.Value).Width;
        // Keys under length-dependent frequencies belong to one length; they can't serve another sequence.
        _reuse = !graph.Nodes.Any(n => n.Op is Rope { Spec.Dynamic: not null });
        _thread = new Thread(Loop) { IsBackground = true, Name = "tare engine loop" };
        _thread.Start();
    }

    private int[] PagesPerGroup { get; }

    public int Vocabulary => _vocabulary;

    /// <summary>Runs something on the loop's thread, between two steps.</summary>
    public Task<T> Call<T>(Func<T> action)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        bool posted = _commands.Writer.TryWrite(() =>
        {
            try
            {
                done.SetResult(action());
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        });
        if (!posted) done.SetException(new ObjectDisposedException(nameof(Model)));
        return done.Task;
    }

    /// <summary>Queues a request; its channel brings the pieces.</summary>
    public void Submit(Request request)
    {
        if (!_commands.Writer.TryWrite(() => _waiting.AddLast(request))) throw new ObjectDisposedException(nameof(Model));
        if (request.Cancel.CanBeCanceled) request.Cancel.UnsafeRegister(static (loop, _) => ((EngineLoop)loop!)._commands.Writer.TryWrite(static () => { }), this);
    }

    /// <summary>On the loop's thread: a session that shares this one's pages.</summary>
    public void Fork(Session from, Session to)
    {
        if (from.Cache is null) return;
        to.Cache = _pages.Fork(from.Cache);
        _idle.Add(to);
    }

    /// <summary>On the loop's thread: forgets the pages of positions from <paramref name="length"/> on.</summary>
    public void Truncate(Session session, int length)
    {
        if (session.Cache is { } cache && cache.Length > length) _pages.Truncate(cache, length);
    }

    /// <summary>On the loop's thread: gives a session's pages back.</summary>
    public void Release(Session session)
    {
        if (session.Cache is { } cache) _pages.Release(cache);
        session.Cache = null;
        _idle.Remove(session);
    }

    /// <summary>On the loop's thread: from the next step on rows go to a capture too. Requests that run have rows that are missing.</summary>
    public void Begin(LoopCapture capture)
    {
        if (_capture is not null) throw new InvalidOperationException("a capture is running; end it first");
        _capture = capture;
        UseProgram(_edits.Sites);
        foreach (var request in _running) capture.Missing(request);
    }

    /// <summary>On the loop's thread: back to the plain program.</summary>
    public void End(LoopCapture capture)
    {
        if (_capture != capture) return;
        _capture = null;
        UseProgram(_edits.Sites);
        _variants.Drop(capture.Spec);
    }

    /// <summary>What a variant of the program must be able to take.</summary>
    public ProgramLimits ProgramLimits => _plain.Signature.Limits;

    public async ValueTask DisposeAsync()
    {
        _commands.Writer.TryWrite(() => _disposing = true);
        _commands.Writer.TryComplete();
        await _stopped.Task;
        _plain.Dispose();
        _variants.Dispose();
        _edits.Dispose();
        foreach (var state in _states) state.Dispose();
    }

    private void Loop()
    {
        try
        {
            while (!_disposing)
            {
                while (_commands.Reader.TryRead(out var command)) command();
                DropCanceled();
                Admit();
                if (_running.Count > 0) Step();
                else if (!_disposing && !_commands.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult()) break;
            }
        }
        catch (Exception e)
        {
            foreach (var request in _running.Concat(_waiting)) request.Fail(e);
            _commands.Writer.TryComplete();
            while (_commands.Reader.TryRead(out var command)) command();
        }
        foreach (var request in _running.Concat(_waiting)) request.Fail(new ObjectDisposedException(nameof(Model)));
        _stopped.SetResult();
    }

    private void DropCanceled()
    {
        for (var node = _waiting.First; node is not null;)
        {
            var next = node.Next;
            if (node.Value.Cancel.IsCancellationRequested)
            {
                node.Value.Fail(new OperationCanceledException(node.Value.Cancel));
                _waiting.Remove(node);
            }
            node = next;
        }
        for (int i = _running.Count - 1; i >= 0; i--)
        {
            var request = _running[i];
            if (!request.Cancel.IsCancellationRequested) continue;
            Retire(request);
            request.Fail(new OperationCanceledException(request.Cancel));
        }
    }

    private void Admit()
    {
        while (_running.Count < _limits.Sequences && _waiting.First is { } node && Fits(node.Value))
        {
            var request = node.Value;
            _waiting.RemoveFirst();
            if (!TakeEdits(request)) continue;
            for (int g = 0; g < _reserved.Length; g++) _reserved[g] += Needed(request, g);
            request.Admit();
            TakeCache(request);
            _running.Add(request);
        }
    }

    // The slot of its edits, and a program that applies them; a request that can't have them fails alone.
    private bool TakeEdits(Request request)
    {
        if (request.Edits is null) return true;
        try
        {
            request.EditSlot = _edits.Acquire(request.Edits);
            ChooseProgram();
            return true;
        }
        catch (Exception e)
        {
            if (request.EditSlot > 0) _edits.Release(request.Edits);
            request.Fail(e);
            return false;
        }
    }

    // What runs goes on as long as it edits all sites that are needed; without edits the program has none.
    private void ChooseProgram()
    {
        var sites = _edits.Sites;
        if (sites.IsEmpty && _programEdits.IsEmpty) return;
        if (sites.IsEmpty != _programEdits.IsEmpty || sites.Except(_programEdits).Any()) UseProgram(sites);
    }

    private void UseProgram(ImmutableArray<int> sites)
    {
        _program = !sites.IsEmpty ? _variants.Get(sites, _capture?.Spec) : _capture?.Program ?? _plain;
        (_programEdits, _logits) = (sites, _program.Signature.Output(GraphBuilder.LogitsOutput));
        _editedStates = _edits.Table is { } table ? [.. _states, table] : _states;
    }

    private bool Fits(Request request)
    {
        for (int g = 0; g < _reserved.Length; g++)
            if (_reserved[g] + Needed(request, g) > PagesPerGroup[g]) return false;
        return true;
    }

    private int Needed(Request request, int group) => _pages.Needed(group, request.MaxLength, _limits.BatchTokens);

    // The session's own pages as far as they fit the tokens, else the longest indexed beginning.
    private void TakeCache(Request request)
    {
        var tokens = CollectionsMarshal.AsSpan(request.Tokens);
        bool reuse = _reuse && _capture?.Recomputes != true;
        var marks = request.Edits is null ? default : new EditMarks(request.Edits.Key, [.. Enumerable.Range(0, tokens.Length).Select(request.EditRowsOf)]);
        if (request.Session?.Cache is { } own)
        {
            request.Session.Cache = null;
            _idle.Remove(request.Session);
            int same = Math.Min(tokens.CommonPrefixLength(CollectionsMarshal.AsSpan(request.Session.CachedTokens)), Math.Min(own.Length, tokens.Length - 1));
            same = marks.CommonLength(request.Session.CachedMarks, same);
            if (reuse && _pages.Truncate(own, same) > 0) request.Cache = own;
            else _pages.Release(own);
        }
        request.Cache ??= _pages.Create();
        if (reuse && request.Cache.Length == 0) _pages.Adopt(request.Cache, tokens, marks);
        request.ReusedTokens = request.Cache.Length;
        if (marks.Rows is not null) request.EditRows.AddRange(marks.Rows.AsSpan(0, request.Cache.Length));
        _capture?.Missing(request);
    }

    private void Step()
    {
        ChooseProgram();
        Schedule();
        var step = new Step
        {
            Sequences = CollectionsMarshal.AsSpan(_rows),
            Tokens = CollectionsMarshal.AsSpan(_tokens),
            Pages = CollectionsMarshal.AsSpan(_pageTable),
            PageStarts = _states.Length == 0 ? [] : CollectionsMarshal.AsSpan(_pageStarts),
            OutputRows = CollectionsMarshal.AsSpan(_outputs),
            Slots = CollectionsMarshal.AsSpan(_slots),
        };
        var ticket = _program.Enqueue(step, _slots.Count > 0 ? _editedStates : _states);
        _program.Wait(ticket);
        _capture?.Append(_program, ticket);
        Postprocess(_outputs.Count == 0 ? [] : _program.Output<float>(ticket, _logits));
        _program.Release(ticket);
    }

    private void Schedule()
    {
        _rows.Clear();
        _tokens.Clear();
        _outputs.Clear();
        _pageTable.Clear();
        _pageStarts.Clear();
        _pageStarts.Add(0);
        _scheduled.Clear();
        _slots.Clear();
        _capture?.Clear();
        // One row for each that generates is kept free of the prompts' share.
        int generating = 0;
        foreach (var request in _running)
            if (request.Tokens.Count - request.Cache!.Length == 1) generating++;
        int budget = _limits.BatchTokens - generating;
        foreach (var request in _running)
        {
            var cache = request.Cache!;
            int missing = request.Tokens.Count - cache.Length, rows = missing == 1 ? 1 : Math.Min(missing, budget);
            if (rows <= 0) continue;
            if (missing > 1) budget -= rows;
            int position = cache.Length;
            MakeRoom(cache, position + rows);
            _pages.Extend(cache, position + rows);
            bool generated = request.Tokens.Count > request.PromptTokens;
            _rows.Add(new SequenceRows(_rows.Count, _tokens.Count, rows, position, generated ? Phase.Generated : Phase.Prompt, request.Tokens.Count));
            _tokens.AddRange(CollectionsMarshal.AsSpan(request.Tokens).Slice(position, rows));
            if (!_programEdits.IsEmpty) AddSlots(request, position, rows);
            _capture?.Add(request, position, rows);
            foreach (var table in cache.Tables)
            {
                _pageTable.AddRange(CollectionsMarshal.AsSpan(table));
                _pageStarts.Add(_pageTable.Count);
            }
            bool output = rows == missing;
            if (output) _outputs.Add(_tokens.Count - 1);
            _scheduled.Add((request, output));
        }
    }

    private void AddSlots(Request request, int position, int rows)
    {
        for (int p = position; p < position + rows; p++)
        {
            ulong edited = request.Edits is null ? 0 : request.EditRowsOf(p);
            if (request.Edits is not null) request.EditRows.Add(edited);
            _slots.Add(edited == 0 ? default : new RowSlots(0, request.EditSlot, edited));
        }
    }

    // Pages that only idle sessions hold give way to running requests, those of the oldest session first.
    private void MakeRoom(KvSequence cache, int length)
    {
        for (int g = 0; g < _kv.Groups.Length; g++)
        {
            int wanted = Math.Max(0, (length + KvLayout.PageTokens - 1) / KvLayout.PageTokens - cache.Tables[g].Count) + 1;
            while (_pages.Free(g) < wanted && EvictOne())
            {
            }
        }

        bool EvictOne()
        {
            if (_pages.EvictOldest()) return true;
            if (_idle.Count == 0) return false;
            Release(_idle[0]);
            return true;
        }
    }

    private void Postprocess(ReadOnlySpan<float> logits)
    {
        int output = 0;
        foreach (var (request, hasOutput) in _scheduled)
        {
            _pages.FreeBehindWindows(request.Cache!);
            if (!hasOutput) continue;
            var row = logits.Slice(output++ * _vocabulary, _vocabulary);
            int id = request.Sampler.Sample(row, CollectionsMarshal.AsSpan(request.Tokens));
            if (request.Push(id, _ends.Contains(id), row, _limits.Context) is not { } reason) continue;
            Retire(request);
            request.Finish(reason);
        }
    }

    // A request that ends gives its session the pages, and the index the full ones.
    private void Retire(Request request)
    {
        _running.Remove(request);
        for (int g = 0; g < _reserved.Length; g++) _reserved[g] -= Needed(request, g);
        var cache = request.Cache!;
        request.Cache = null;
        var marks = request.Marks;
        if (request.Edits is not null) _edits.Release(request.Edits);
        if (_reuse) _pages.Index(cache, CollectionsMarshal.AsSpan(request.Tokens), marks);
        if (request.Session is { IsDisposed: false } session)
        {
            Release(session);
            session.Cache = cache;
            session.CachedTokens = [.. request.Tokens];
            session.CachedMarks = marks;
            _idle.Add(session);
        }
        else _pages.Release(cache);
    }
}
