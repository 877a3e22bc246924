using Tare.Backends.Cpu.Kernels;
using Tare.Backends.Cpu.Weights;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu;

/// <summary>What a kernel binds to when a program is compiled: buffers, packed weights, limits, scratch.</summary>
internal sealed unsafe class KernelContext(Graph graph, CpuWeights weights, ProgramLimits limits, int threads) : IDisposable
{
    private readonly List<RopeTableKernel> _prologue = [];
    private readonly MemoryPlan _plan = MemoryPlan.Create(graph);
    private NativeBuffer<float>[]? _buffers;
    private NativeBuffer<byte>? _scratch;
    private long _scratchBytes;

    public Graph Graph => graph;

    public ProgramLimits Limits => limits;

    public int Threads => threads;

    public CpuWeights Weights => weights;

    /// <summary>Whether nothing was written behind the end of a buffer.</summary>
    public bool AreGuardsIntact => _buffers!.All(b => b.IsGuardIntact) && _scratch?.IsGuardIntact != false;

    /// <summary>Bytes of all buffers and scratch.</summary>
    public long Bytes => (_buffers?.Sum(b => b.Bytes) ?? 0) + (_scratch?.Bytes ?? 0);

    public void Allocate() => _buffers = [.. _plan.Buffers.Select(b => new NativeBuffer<float>((long)MaxRows(b.Rows) * b.Width))];

    public int MaxRows(RowAxis axis) => axis switch
    {
        RowAxis.Rows => limits.MaxRows,
        RowAxis.OutputRows => limits.MaxOutputRows,
        _ => limits.MaxSequences,
    };

    /// <summary>The buffer of a value, [rows, width]; null for caches.</summary>
    public float* Pointer(Value value) => _plan.BufferOf(value) is >= 0 and int buffer ? _buffers![buffer].Pointer : null;

    public float* Input(Node node, int index) => Pointer(node.Inputs[index]);

    /// <summary>Elements from row to row of a value that <paramref name="op"/> makes.</summary>
    public static int Stride(Op op, ValueInfo type) => op is QuantizeRows quantize ? QuantizedRow.Stride(type.Width, quantize.Bits == 16) / sizeof(float) : type.Width;

    public ValueInfo TypeOf(Value value) => graph.TypeOf(value);

    /// <summary>Kernels that run before the first node: what many nodes of a step share.</summary>
    public IReadOnlyList<CpuKernel> Prologue => _prologue;

    /// <summary>The cosines and sines of the step's rows; specs that rotate alike share them.</summary>
    public RopeTableKernel RopeTable(RopeSpec spec)
    {
        var found = _prologue.Find(t => t.Serves(spec));
        if (found is null) _prologue.Add(found = new RopeTableKernel(this, spec));
        return found;
    }

    /// <summary>Asks for scratch of a thread; kernels of a program share it, one after the other.</summary>
    public void ReserveScratch(long bytes) => _scratchBytes = Math.Max(_scratchBytes, (bytes + 63) / 64 * 64);

    /// <summary>Allocates what was asked for.</summary>
    public void AllocateScratch() => _scratch = new NativeBuffer<byte>(_scratchBytes * threads);

    /// <summary>A thread's scratch, once it is allocated.</summary>
    public byte* Scratch(int thread) => _scratch!.Pointer + thread * _scratchBytes;

    public void Dispose()
    {
        foreach (var buffer in _buffers ?? []) buffer.Dispose();
        _scratch?.Dispose();
    }
}
