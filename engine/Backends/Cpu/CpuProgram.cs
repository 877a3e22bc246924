using System.Collections.Immutable;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Tare.Backends.Cpu.Kernels;
using Tare.Backends.Cpu.Weights;
using Tare.Execution;
using Tare.Fusion;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu;

/// <summary>A graph as a list of kernels over planned buffers. Enqueue runs the whole step on the pool and returns when it is finished; nothing is allocated for a step.</summary>
internal sealed unsafe class CpuProgram : IProgram, IPoolWork
{
    private const int RowsOfBlock = 32, BlockStride = 16;

    private readonly CpuKernel[] _kernels;
    private readonly KernelContext _context;
    private readonly CpuStep _step;
    private readonly WorkerPool _pool;
    private readonly float*[] _outputs;
    private readonly ValueInfo[] _outputTypes;
    private readonly (bool Tokens, long Offset, long Rows, string Table)[] _lookups;
    private readonly ImmutableArray<EditedValue> _edits;
    private readonly bool _tokens;
    private readonly int _residual, _adapters;
    private ExceptionDispatchInfo? _fault;
    private long _tickets;
    private bool _disposed;
    private readonly int[] _runs;   // [kernels]: see Runs
    private readonly int[] _blocks; // [kernels · BlockStride]: first row of a run of kernels that no thread has taken yet
    private long[]? _ticks; // [kernels], of thread 0; null = not measured
    private long _waiting;  // ticks of thread 0 at barriers

    private CpuProgram(KernelContext context, CpuKernel[] kernels, WorkerPool pool, int residual)
    {
        (_context, _kernels, _pool, _residual) = (context, kernels, pool, residual);
        _runs = Runs(kernels);
        _blocks = new int[kernels.Length * BlockStride];
        Signature = new ProgramSignature(context.Graph, KvLayout.Of(context.Graph), context.Limits);
        var graph = Unfused.Of(context.Graph); // parts count as nodes in what follows
        _step = new CpuStep(context.Limits, residual);
        _outputs = new float*[graph.Outputs.Length];
        for (int i = 0; i < _outputs.Length; i++) _outputs[i] = context.Pointer(context.Graph.Outputs[i].Value);
        _outputTypes = [.. graph.Outputs.Select(o => graph.TypeOf(o.Value))];
        _edits = EditedValue.Of(graph);
        _tokens = graph.Nodes.Any(n => n.Op is Input { Kind: InputKind.Tokens });
        _adapters = graph.Nodes.Select(n => n.Op).OfType<Linear>().Select(l => l.Adapters.Length).DefaultIfEmpty().Max();
        _lookups = [.. graph.Nodes.Where(n => n.Op is Embed { Constant: false }).Select(n =>
        {
            var embed = (Embed)n.Op;
            return (graph.OpOf(n.Inputs[0]) is Input { Kind: InputKind.Tokens }, (long)embed.Offset, embed.Table.Rows, embed.Table.ToString()!);
        }).Distinct()];
    }

    public ProgramSignature Signature { get; }

    /// <summary>Whether no kernel has written behind the end of a buffer.</summary>
    internal bool AreGuardsIntact => _context.AreGuardsIntact;

    public static CpuProgram Create(Graph graph, CpuWeights weights, ProgramLimits limits, WorkerPool pool, IProgress<LoadProgress>? progress, CancellationToken cancel)
    {
        var context = new KernelContext(graph, weights, limits, pool.Threads);
        try
        {
            context.Allocate();
            long total = graph.Nodes.Sum(n => n.Op.Weights.Sum(w => w.Rows * w.Width)), done = 0;
            var kernels = new List<CpuKernel>();
            for (int i = 0; i < graph.Nodes.Length; i++)
            {
                cancel.ThrowIfCancellationRequested();
                var node = graph.Nodes[i];
                kernels.Add(CpuOps.Bind(context, i));
                done += node.Op.Weights.Sum(w => w.Rows * w.Width);
                if (node.Op.Weights.Any()) progress?.Report(new LoadProgress(done * sizeof(float), total * sizeof(float), node.Op.Name));
            }
            context.AllocateScratch();
            int residual = graph.Ops.OfType<Input>().Where(i => i.Kind == InputKind.Residual).Select(i => i.Width).FirstOrDefault();
            return new CpuProgram(context, [.. context.Prologue, .. kernels], pool, residual);
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>Measures the time of each kernel from now on.</summary>
    internal void StartProfile() => (_ticks, _waiting) = (new long[_kernels.Length], 0);

    /// <summary>Seconds of one thread by kind of kernel since <see cref="StartProfile"/>, largest first; waiting for the other threads comes last.</summary>
    internal IReadOnlyList<(string Kernel, int Count, double Seconds)> Profile()
        => [.. _kernels.Select((k, i) => (k.Name, Ticks: _ticks?[i] ?? 0)).GroupBy(k => k.Name)
            .Select(g => (g.Key, g.Count(), g.Sum(k => k.Ticks) / (double)Stopwatch.Frequency)).OrderByDescending(g => g.Item3).Append(("(waiting)", 0, _waiting / (double)Stopwatch.Frequency))];

    public StepTicket Enqueue(in Step step, ReadOnlySpan<IState> states)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var (caches, table) = StepCheck.Check(step, Signature, states, _tokens, _residual, _adapters, _edits);
        var own = caches as CpuState;
        var edits = table?.Edits as CpuEditTable;
        if (caches is not null && own is null || table is not null && edits is null) throw new ArgumentException("the state belongs to another backend");
        CheckIndices(step);
        _step.Copy(step, own, edits);
        Array.Clear(_blocks);
        _pool.Run(this);
        if (_fault is { } fault)
        {
            _fault = null;
            fault.Throw();
        }
        return new StepTicket(++_tickets);
    }

    public bool IsDone(StepTicket ticket) => true;

    public void Wait(StepTicket ticket, CancellationToken cancel = default) => Check(ticket);

    public ReadOnlySpan<T> Output<T>(StepTicket ticket, OutputId id) where T : unmanaged
    {
        Check(ticket);
        var type = _outputTypes[id.Index];
        int count = checked(_step.RowsOf(type.Rows) * type.Width);
        if (typeof(T) == typeof(float) && type.Element == ElementType.F32 || typeof(T) == typeof(int) && type.Element == ElementType.I32) return new ReadOnlySpan<T>(_outputs[id.Index], count);
        if (typeof(T) != typeof(double) || type.Element != ElementType.F32) throw new ArgumentException($"output {id.Index} is {type}, not {typeof(T).Name}");
        var wide = new double[count];
        for (int i = 0; i < count; i++) wide[i] = _outputs[id.Index][i];
        return MemoryMarshal.Cast<double, T>(wide);
    }

    public void Release(StepTicket ticket) { }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        foreach (var kernel in _kernels) (kernel as IDisposable)?.Dispose();
        _context.Dispose();
        _step.Dispose();
    }

    // Many rows: runs of row-local kernels go block of rows by block of rows, so that what a thread has just computed is near when the next kernel reads it, and threads meet only where rows need each other.
    // Few rows: threads share the outputs of each kernel and meet after it; kernels with little work are done by the last thread to come while the others wait.
    void IPoolWork.Run(int thread)
    {
        int threads = _pool.Threads, i = SkipSerial(0);
        if (i > 0)
        {
            if (thread == 0) RunSerial(0, thread);
            Meet(thread, -1);
        }
        while (i < _kernels.Length)
        {
            if (_runs[i] > i && _step.RowsOf(_kernels[i].RowLocal!.Value) >= threads * RowsOfBlock)
            {
                RunBlocks(i, _runs[i], thread, threads);
                i = _runs[i];
                Meet(thread, -1);
                continue;
            }
            int phases = _kernels[i].Phases(_step, threads);
            for (int phase = 0; phase < phases; phase++)
            {
                long start = Start(thread);
                try
                {
                    _kernels[i].Run(_step, phase, thread, threads);
                }
                catch (Exception e)
                {
                    Fail(e);
                }
                Stop(i, start);
                if (phase < phases - 1) Meet(thread, -1);
            }
            int next = SkipSerial(++i);
            Meet(thread, next > i ? i : -1);
            i = next;
        }
    }

    void IPoolWork.RunAlone(int item, int thread)
    {
        if (item < 0) return;
        long start = Start(thread);
        RunSerial(item, thread);
        if (start != 0) _waiting -= Stopwatch.GetTimestamp() - start; // thread 0 did not wait
    }

    // The first kernel from here on that is not done by one thread alone.
    private int SkipSerial(int kernel)
    {
        while (kernel < _kernels.Length && _kernels[kernel].IsSerial(_step)) kernel++;
        return kernel;
    }

    private void RunSerial(int kernel, int thread)
    {
        for (; kernel < _kernels.Length && _kernels[kernel].IsSerial(_step); kernel++)
        {
            long start = Start(thread);
            try
            {
                _kernels[kernel].Run(_step, 0, 0, 1);
            }
            catch (Exception e)
            {
                Fail(e);
            }
            Stop(kernel, start);
        }
    }

    // Blocks are handed out one by one, large ones first, so that a thread that loses its processor for a while does fewer.
    private void RunBlocks(int first, int end, int thread, int threads)
    {
        int rows = _step.RowsOf(_kernels[first].RowLocal!.Value);
        ref int next = ref _blocks[first * BlockStride];
        while (true)
        {
            int row = Volatile.Read(ref next);
            if (row >= rows) return;
            int size = Math.Clamp((rows - row) / (2 * threads) / RowsOfBlock * RowsOfBlock, RowsOfBlock, ColumnsKernel.RowsAtATime), stop = Math.Min(row + size, rows);
            if (Interlocked.CompareExchange(ref next, stop, row) != row) continue;
            for (int k = first; k < end; k++)
            {
                long start = Start(thread);
                try
                {
                    _kernels[k].RunRows(_step, row, stop, thread);
                }
                catch (Exception e)
                {
                    Fail(e);
                }
                Stop(k, start);
            }
        }
    }

    private void Meet(int thread, int serial)
    {
        long start = Start(thread);
        _pool.Barrier(thread, this, serial);
        if (start != 0) _waiting += Stopwatch.GetTimestamp() - start;
    }

    private void Fail(Exception e) => Interlocked.CompareExchange(ref _fault, ExceptionDispatchInfo.Capture(e), null);

    private long Start(int thread) => thread == 0 && _ticks is not null ? Stopwatch.GetTimestamp() : 0;

    private void Stop(int kernel, long start)
    {
        if (start != 0) _ticks![kernel] += Stopwatch.GetTimestamp() - start;
    }

    // For each kernel the end of the run of kernels from there on that are local to rows of one axis, if that is more than the kernel alone; else 0.
    private static int[] Runs(CpuKernel[] kernels)
    {
        var ends = new int[kernels.Length];
        for (int i = kernels.Length - 1; i >= 0; i--)
            if (kernels[i].RowLocal is { } rows) ends[i] = i + 1 < ends.Length && kernels[i + 1].RowLocal == rows ? ends[i + 1] : i + 1;
        return ends;
    }

    // Every look-up of every table, before anything is written.
    private void CheckIndices(in Step step)
    {
        foreach (var (tokens, offset, rows, table) in _lookups)
            foreach (var sequence in step.Sequences)
                for (int r = 0; r < sequence.Rows; r++)
                {
                    long index = tokens ? step.Tokens[sequence.FirstRow + r] : sequence.FirstPosition + r;
                    if (index + offset < 0 || index + offset >= rows) throw new ArgumentException($"row {sequence.FirstRow + r}: {(tokens ? "token id" : "position")} {index} is outside of {table} ({rows} rows)");
                }
    }

    private void Check(StepTicket ticket)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (ticket.Id != _tickets) throw new ArgumentException($"ticket {ticket.Id} is not of the last step");
    }
}
