using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Tare.Backends.Cpu.Weights;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu;

/// <summary>A graph as a list of kernels over planned buffers. Enqueue runs the whole step on the pool and returns when it is finished; nothing is allocated for a step.</summary>
internal sealed unsafe class CpuProgram : IProgram, IPoolWork
{
    private readonly CpuKernel[] _kernels;
    private readonly KernelContext _context;
    private readonly CpuStep _step;
    private readonly WorkerPool _pool;
    private readonly float*[] _outputs;
    private readonly ValueInfo[] _outputTypes;
    private readonly (bool Tokens, long Offset, long Rows, string Table)[] _lookups;
    private readonly bool _tokens;
    private readonly int _residual, _adapters;
    private ExceptionDispatchInfo? _fault;
    private long _tickets;
    private bool _disposed;
    private long[]? _ticks; // [kernels], of thread 0, barriers included; null = not measured

    private CpuProgram(KernelContext context, CpuKernel[] kernels, WorkerPool pool, int residual)
    {
        (_context, _kernels, _pool, _residual) = (context, kernels, pool, residual);
        var graph = context.Graph;
        Signature = new ProgramSignature(graph, KvLayout.Of(graph), context.Limits);
        _step = new CpuStep(context.Limits, residual);
        _outputs = new float*[graph.Outputs.Length];
        for (int i = 0; i < _outputs.Length; i++) _outputs[i] = context.Pointer(graph.Outputs[i].Value);
        _outputTypes = [.. graph.Outputs.Select(o => graph.TypeOf(o.Value))];
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
            int residual = graph.Nodes.Select(n => n.Op).OfType<Input>().Where(i => i.Kind == InputKind.Residual).Select(i => i.Width).FirstOrDefault();
            return new CpuProgram(context, [.. context.Prologue, .. kernels], pool, residual);
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>Measures the time of each kernel from now on.</summary>
    internal void StartProfile() => _ticks = new long[_kernels.Length];

    /// <summary>Seconds by kind of kernel since <see cref="StartProfile"/>, largest first.</summary>
    internal IReadOnlyList<(string Kernel, int Count, double Seconds)> Profile()
        => [.. _kernels.Select((k, i) => (Name: k.GetType().Name.Split('`')[0].Replace("Kernel", "", StringComparison.Ordinal), Ticks: _ticks?[i] ?? 0)).GroupBy(k => k.Name)
            .Select(g => (g.Key, g.Count(), g.Sum(k => k.Ticks) / (double)Stopwatch.Frequency)).OrderByDescending(g => g.Item3)];

    public StepTicket Enqueue(in Step step, ReadOnlySpan<IState> states)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var state = StepCheck.Check(step, Signature, states, _tokens, _residual, _adapters);
        var own = state as CpuState;
        if (state is not null && own is null) throw new ArgumentException("the state belongs to another backend");
        CheckIndices(step);
        _step.Copy(step, own);
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

    void IPoolWork.Run(int thread)
    {
        int threads = _pool.Threads;
        for (int i = 0; i < _kernels.Length; i++)
        {
            var kernel = _kernels[i];
            long start = thread == 0 && _ticks is not null ? Stopwatch.GetTimestamp() : 0;
            for (int phase = 0; phase < kernel.Phases; phase++)
            {
                try
                {
                    kernel.Run(_step, phase, thread, threads);
                }
                catch (Exception e)
                {
                    Interlocked.CompareExchange(ref _fault, ExceptionDispatchInfo.Capture(e), null);
                }
                if (kernel.Meets || i == _kernels.Length - 1) _pool.Barrier();
            }
            if (start != 0) _ticks![i] += Stopwatch.GetTimestamp() - start;
        }
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
