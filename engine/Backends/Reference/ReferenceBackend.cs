using System.Diagnostics.CodeAnalysis;
using Tare.Execution;
using Tare.Graphs;

namespace Tare.Backends.Reference;

/// <summary>Interprets any graph in F64 with the plainest code: the oracle for every kernel and every pass.</summary>
public sealed class ReferenceBackend : IBackend
{
    private readonly int _threads;

    /// <summary>Computes on all processors.</summary>
    public ReferenceBackend() : this(Environment.ProcessorCount) { }

    /// <summary>Computes on the given number of threads; results do not depend on it.</summary>
    public ReferenceBackend(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        _threads = threads;
        Device = new DeviceInfo("Reference", "float64 interpreter", "scalar", threads);
    }

    /// <inheritdoc/>
    public DeviceInfo Device { get; }

    /// <inheritdoc/>
    public bool Supports(Op op, [NotNullWhen(false)] out string? reason)
    {
        reason = ReferenceOps.Knows(op) ? null : $"{op.Name} has no reference kernel";
        return reason is null;
    }

    /// <inheritdoc/>
    public IWeightStore CreateWeightStore() => new ReferenceWeights();

    /// <inheritdoc/>
    public IState CreateState(StateLayout layout) => new ReferenceState(layout);

    /// <inheritdoc/>
    public IProgram Compile(Graph graph, IWeightStore weights, ProgramLimits limits, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default)
    {
        Verifier.Verify(graph);
        foreach (var node in graph.Nodes)
            if (!Supports(node.Op, out string? reason)) throw new UnsupportedOpException($"{reason} ({Device.Name})");
        var store = weights as ReferenceWeights ?? throw new ArgumentException("the weight store belongs to another backend");
        var all = graph.Nodes.SelectMany(n => n.Op.Weights).Distinct().ToList();
        long total = all.Sum(w => w.Rows * w.Width * sizeof(double)), done = 0;
        foreach (var weight in all)
        {
            cancel.ThrowIfCancellationRequested();
            store.Get(weight);
            progress?.Report(new LoadProgress(done += weight.Rows * weight.Width * sizeof(double), total, weight.ToString()!));
        }
        return new ReferenceProgram(graph, store, limits, _threads);
    }

    /// <inheritdoc/>
    public void Dispose() { }
}
