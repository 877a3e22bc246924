using System.Collections.Frozen;
using Tare.Backends.Cpu;
using Tare.Capture;
using Tare.Capture.Editing;
using Tare.Capture.Running;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tokenizers;

namespace Tare.Generation;

/// <summary>How a model is loaded.</summary>
public sealed record ModelOptions
{
    /// <summary>Most tokens of a sequence; null = what the model was made for, at most 4,096.</summary>
    public int? Context { get; init; }

    /// <summary>Most sequences that run side by side.</summary>
    public int Sequences { get; init; } = 8;

    /// <summary>Positions that the caches hold, all sequences together; null = <see cref="Context"/> for each sequence.</summary>
    public int? CacheTokens { get; init; }

    /// <summary>Most rows of a step; long prompts are read in pieces of this size.</summary>
    public int BatchTokens { get; init; } = 512;

    /// <summary>Threads that compute; null = all processors.</summary>
    public int? Threads { get; init; }

    /// <summary>Map the file (else it is copied into memory).</summary>
    public bool Map { get; init; } = true;

    /// <summary>Rewrites the norms, with the same logits; edits stay in the coordinates of the file. Null = as the file says.</summary>
    public NormTarget? Norms { get; init; }

    /// <summary>Changes the graph before it runs, behind <see cref="Norms"/> (precision); null = as it is.</summary>
    public Func<Graph, Graph>? Rewrite { get; init; }

    /// <summary>Element type of cached keys; null = as the graph says: F32, unless <see cref="Rewrite"/> chose another.</summary>
    public KvType? KeyType { get; init; }

    /// <summary>Element type of cached values; null likewise.</summary>
    public KvType? ValueType { get; init; }

    /// <summary>Makes the backend; null = the CPU backend. The model disposes it.</summary>
    public Func<IBackend>? Backend { get; init; }
}

/// <summary>A loaded model: file, tokenizer, packed weights, and the loop that runs all its sessions.</summary>
public sealed class Model : IAsyncDisposable
{
    private readonly ModelFile _file;
    private readonly IBackend _backend;
    private readonly IWeightStore _weights;
    private readonly Tokenizer? _tokenizer;
    private readonly Lazy<EditPlanner> _edits;
    private bool _disposed;

    private Model(ModelFile file, IBackend backend, IWeightStore weights, Tokenizer? tokenizer, Graph graph, Lazy<EditPlanner> edits, EngineLoop loop, int context)
        => (_file, _backend, _weights, _tokenizer, Graph, _edits, Loop, Context) = (file, backend, weights, tokenizer, graph, edits, loop, context);

    /// <summary>The graph that runs.</summary>
    public Graph Graph { get; }

    /// <summary>Most tokens of a sequence.</summary>
    public int Context { get; }

    /// <summary>The device that computes.</summary>
    public DeviceInfo Device => _backend.Device;

    /// <summary>The tokenizer. Throws <see cref="ModelFileException"/> where the file has none.</summary>
    public Tokenizer Tokenizer => _tokenizer ?? throw new ModelFileException(_file.Path, "has no tokenizer");

    /// <summary>The sites that captures and edits of this model may name.</summary>
    public SiteMap Sites => Edits.Map;

    internal EngineLoop Loop { get; }

    /// <summary>Turns edits into entries of the edit table.</summary>
    internal EditPlanner Edits => _edits.Value;

    /// <summary>Opens a model file or folder, packs its weights and starts its loop. Throws <see cref="ModelFileException"/>.</summary>
    public static Task<Model> LoadAsync(string path, ModelOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default)
        => Task.Run(() => Load(path, options ?? new ModelOptions(), progress, cancel), cancel);

    /// <summary>A new, empty conversation.</summary>
    public Session CreateSession()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new Session(this);
    }

    /// <summary>
    /// One sequence from an empty cache, with the rows of the selected sites (<see cref="SiteSelector"/>) and the logits of every position. Sessions go on meanwhile. Throws <see cref="ArgumentException"/> for
    /// names that are no sites.
    /// </summary>
    public Task<ActivationCache> RunWithCacheAsync(IReadOnlyList<int> ids, string selector, CancellationToken cancel = default) => RunWithCacheAsync(ids, selector, [], cancel);

    /// <summary>The same with edits: sites hold what the rest of the model sees, or with <c>@before</c> behind their names what was there before the edit. Throws <see cref="EditException"/>.</summary>
    public Task<ActivationCache> RunWithCacheAsync(IReadOnlyList<int> ids, string selector, IReadOnlyList<EditSpec> edits, CancellationToken cancel = default) => Task.Run(() =>
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        CheckTokens(ids);
        var edited = Edits.ForTools(edits);
        var capture = new CaptureSpec { Rows = selector }.Apply(Graph, Edits.Map, edited?.Graph);
        return new ActivationCache(capture, [.. ids], WholeSequences.RunChunked<float>(_backend, capture.Graph, [.. ids], Loop.ProgramLimits.MaxRows, cancel: cancel, shared: _weights, edits: edited?.Edits));
    }, cancel);

    /// <summary>
    /// From the next step on, records or rows of all sessions go to a sink, until the result is disposed. The weights are shared and running conversations go on; their logits keep every bit. One capture at a
    /// time; the sink is called on a thread of its own and holds the model up when it is slow. What it throws comes out of disposing the result.
    /// </summary>
    public async Task<RunningCapture> CaptureAsync(CaptureSpec spec, Func<CaptureGraph, ICaptureSink> sink)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var capture = spec.Apply(Graph);
        return await Loop.Call(() =>
        {
            var program = _backend.Compile(capture.Graph, _weights, Loop.ProgramLimits);
            var running = new LoopCapture(capture, program, sink(capture), spec);
            try
            {
                Loop.Begin(running);
            }
            catch
            {
                running.Dispose();
                throw;
            }
            return new RunningCapture(Loop, running);
        });
    }

    /// <summary>Waits for the running step, ends all requests, and frees everything; the file is unmapped last.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_disposed) return;
        _disposed = true;
        await Loop.DisposeAsync();
        _weights.Dispose();
        _backend.Dispose();
        _file.Dispose();
    }

    internal Request Start(IReadOnlyList<int> tokens, GenerationOptions options, Session session, CancellationToken cancel)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (tokens.Count == 0) throw new ArgumentException("the prompt has no tokens");
        if (tokens.Count >= Context) throw new ContextFullException(tokens.Count, Context);
        if (options.MaxTokens is < 1) throw new ArgumentException($"MaxTokens = {options.MaxTokens} must be ≥ 1");
        if (options.LogProbabilities is < 0) throw new ArgumentException($"LogProbabilities = {options.LogProbabilities} must be ≥ 0");
        CheckTokens(tokens);
        var edits = options.Edits.IsDefaultOrEmpty ? null : Edits.Resolve(options.Edits);
        var request = new Request(tokens, options, Loop.Vocabulary, Context, _tokenizer, cancel) { Session = session, Edits = edits is { Operations.IsEmpty: false } ? edits : null };
        Loop.Submit(request);
        return request;
    }

    private void CheckTokens(IReadOnlyList<int> tokens)
    {
        foreach (int id in tokens)
            if (id < 0 || id >= Loop.Vocabulary) throw new ArgumentException($"token id {id} is outside of {Loop.Vocabulary} tokens");
    }

    private static Model Load(string path, ModelOptions options, IProgress<LoadProgress>? progress, CancellationToken cancel)
    {
        var owned = new Stack<IDisposable>();
        try
        {
            var file = Own(ModelFile.Open(path, new OpenOptions { Map = options.Map }));
            var graph = ArchitectureRegistry.Build(file);
            if (graph.FindOutput(GraphBuilder.LogitsOutput) is null) throw new ModelFileException(file.Path, "the model has no head, so it can't generate");
            var report = new RewriteReport();
            if (options.Norms is { } norms) graph = NormRewrites.Apply(graph, norms, report);
            graph = CacheTypes.Apply(options.Rewrite?.Invoke(graph) ?? graph, options.KeyType, options.ValueType);
            int context = ContextLength.Choose(file, graph, options.Context);
            var tokenizer = Tokenizer.Find(file);
            var backend = Own(options.Backend?.Invoke() ?? new CpuBackend(options.Threads ?? Environment.ProcessorCount));
            var weights = Own(backend.CreateWeightStore());
            int batch = Math.Min(Math.Max(options.BatchTokens, options.Sequences), Math.Max(context, options.Sequences));
            var program = Own(backend.Compile(graph, weights, new ProgramLimits(batch, options.Sequences, options.Sequences), progress, cancel));
            long tokens = Math.Max(context, options.CacheTokens ?? (long)context * options.Sequences);
            var kv = program.Signature.Kv;
            // A windowed group needs the pages of its window and of a step, for each sequence; every sequence may be in the middle of copying one page.
            var state = Own(backend.CreateState(new StateLayout(kv, [.. kv.Groups.Select(g => checked((int)Math.Min(
                (tokens + KvLayout.PageTokens - 1) / KvLayout.PageTokens + options.Sequences,
                g.Window is int window ? (long)options.Sequences * ((window + batch) / KvLayout.PageTokens + 4) : long.MaxValue)))])));
            var planner = new Lazy<EditPlanner>(() => new EditPlanner(graph, report.Coordinates));
            var variants = new ProgramVariants(backend, weights, graph, program.Signature.Limits, planner);
            var loop = new EngineLoop(program, state, variants, new LoopLimits(context, options.Sequences, batch), tokenizer?.EndOfGeneration ?? FrozenSet<int>.Empty);
            return new Model(file, backend, weights, tokenizer, graph, planner, loop, context);
        }
        catch
        {
            while (owned.TryPop(out var item)) item.Dispose();
            throw;
        }

        T Own<T>(T item) where T : IDisposable
        {
            owned.Push(item);
            return item;
        }
    }
}
