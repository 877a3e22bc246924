using System.Diagnostics.CodeAnalysis;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using Tare.Backends.Cpu.Weights;
using Tare.Execution;
using Tare.Fusion;
using Tare.Graphs;

namespace Tare.Backends.Cpu;

/// <summary>Runs programs on the processor with managed vector code: F32 activations, or integers before quantized weights; caches and weights of all types. The same bits for any number of threads, batch, chunking and vector width.</summary>
public sealed class CpuBackend : IBackend
{
    private readonly WorkerPool _pool;

    /// <summary>Computes on all processors.</summary>
    public CpuBackend() : this(Environment.ProcessorCount) { }

    /// <summary>Computes on the given number of threads; results do not depend on it.</summary>
    public CpuBackend(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        _pool = new WorkerPool(threads);
        Device = new DeviceInfo("Cpu", ProcessorName(), Features(), threads);
    }

    /// <summary>Whether programs run fused graphs; results do not depend on it.</summary>
    public bool Fuses { get; init; } = true;

    /// <summary>The threads that compute.</summary>
    internal WorkerPool Pool => _pool;

    /// <inheritdoc/>
    public DeviceInfo Device { get; }

    /// <inheritdoc/>
    public bool Supports(Op op, [NotNullWhen(false)] out string? reason) => CpuOps.Supports(op, out reason);

    /// <inheritdoc/>
    public IWeightStore CreateWeightStore() => new CpuWeights(Device.Threads);

    /// <inheritdoc/>
    public IState CreateState(StateLayout layout) => new CpuState(layout);

    /// <inheritdoc/>
    public IProgram Compile(Graph graph, IWeightStore weights, ProgramLimits limits, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default)
    {
        Verifier.Verify(graph);
        foreach (var node in graph.Nodes)
            if (!Supports(node.Op, out string? reason)) throw new UnsupportedOpException($"{reason} ({Device.Name})");
        var store = weights as CpuWeights ?? throw new ArgumentException("the weight store belongs to another backend");
        return CpuProgram.Create(Fuses ? Fuser.Apply(graph, op => Supports(op, out _)) : graph, store, limits, _pool, progress, cancel);
    }

    /// <inheritdoc/>
    public void Dispose() => _pool.Dispose();

    private static string Features() => Vector512.IsHardwareAccelerated ? "AVX-512" : Avx2.IsSupported && Fma.IsSupported ? "AVX2, FMA" : AdvSimd.Arm64.IsSupported ? Dp.IsSupported ? "AdvSimd, Dp" : "AdvSimd" : "portable";

    // The brand string of CPUID leaves 0x80000002…4, else the name of the architecture.
    private static string ProcessorName()
    {
        string fallback = System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture.ToString();
        if (!X86Base.IsSupported || (uint)X86Base.CpuId(unchecked((int)0x80000000), 0).Eax < 0x80000004) return fallback;
        var bytes = new byte[48];
        for (int i = 0; i < 3; i++)
        {
            var (a, b, c, d) = X86Base.CpuId(unchecked((int)0x80000002) + i, 0);
            new[] { a, b, c, d }.SelectMany(BitConverter.GetBytes).ToArray().CopyTo(bytes, 16 * i);
        }
        string name = System.Text.Encoding.ASCII.GetString(bytes).TrimEnd('\0').Trim();
        return name.Length == 0 ? fallback : name;
    }
}
