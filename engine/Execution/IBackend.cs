using System.Diagnostics.CodeAnalysis;
using Tare.Execution.Edits;
using Tare.Graphs;

namespace Tare.Execution;

/// <summary>A device as people and reports name it.</summary>
/// <param name="Backend">Name of the backend.</param>
/// <param name="Name">Name of the device.</param>
/// <param name="Features">Instruction sets or capabilities in use.</param>
/// <param name="Threads">Threads that compute.</param>
public sealed record DeviceInfo(string Backend, string Name, string Features, int Threads);

/// <summary>Progress of loading: weights packed so far.</summary>
public readonly record struct LoadProgress(long DoneBytes, long TotalBytes, string Item);

/// <summary>The sizes that a program must be able to take in one step.</summary>
public readonly record struct ProgramLimits(int MaxRows, int MaxSequences, int MaxOutputRows);

/// <summary>One device: creates weight stores (immutable), states (mutable) and programs (which run steps).</summary>
public interface IBackend : IDisposable
{
    /// <summary>What this backend runs on.</summary>
    DeviceInfo Device { get; }

    /// <summary>Whether an op can run here, or why not.</summary>
    bool Supports(Op op, [NotNullWhen(false)] out string? reason);

    /// <summary>An empty store; programs compiled over it share packed weights.</summary>
    IWeightStore CreateWeightStore();

    /// <summary>Allocates caches and tables. They outlive programs, and several programs may use them in turn.</summary>
    IState CreateState(StateLayout layout);

    /// <summary>Plans memory, packs the weights that the store lacks, and gives a program. Throws <see cref="UnsupportedOpException"/>.</summary>
    IProgram Compile(Graph graph, IWeightStore weights, ProgramLimits limits, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default);
}

/// <summary>Packed weights of one backend, each expression once.</summary>
public interface IWeightStore : IDisposable
{
    /// <summary>Weights packed so far.</summary>
    int Count { get; }

    /// <summary>Device bytes that they take.</summary>
    long Bytes { get; }
}

/// <summary>Mutable state: the pages of the caches, the edit table.</summary>
public interface IState : IDisposable
{
    /// <summary>Shapes and page counts.</summary>
    StateLayout Layout { get; }

    /// <summary>Device bytes.</summary>
    long Bytes { get; }

    /// <summary>The edit table, where the layout asks for one.</summary>
    EditTable? Edits { get; }

    /// <summary>Copies a page of a group onto another (copy on write).</summary>
    void CopyPage(int group, int from, int to);

    /// <summary>Bytes that <see cref="SavePage"/> writes for a page of a group.</summary>
    int PageBytes(int group);

    /// <summary>Saves a page: <paramref name="destination"/> [PageBytes].</summary>
    void SavePage(int group, int page, Span<byte> destination);

    /// <summary>Restores a page that was saved from a state of the same layout and backend.</summary>
    void LoadPage(int group, int page, ReadOnlySpan<byte> source);
}

/// <summary>A step that was enqueued.</summary>
public readonly record struct StepTicket(long Id);

/// <summary>Index of a graph output.</summary>
public readonly record struct OutputId(int Index);

/// <summary>What goes in and out of a program.</summary>
/// <param name="Graph">The graph that runs (after fusion).</param>
/// <param name="Kv">The caches that it reads and writes; a state may hold more.</param>
/// <param name="Limits">Largest step.</param>
public sealed record ProgramSignature(Graph Graph, KvLayout Kv, ProgramLimits Limits)
{
    /// <summary>Finds an output by name; throws where there is none.</summary>
    public OutputId Output(string name)
    {
        for (int i = 0; i < Graph.Outputs.Length; i++)
            if (Graph.Outputs[i].Name == name) return new OutputId(i);
        throw new GraphException($"no output '{name}' (there are: {string.Join(", ", Graph.Outputs.Select(o => o.Name))})");
    }
}

/// <summary>A compiled graph. One caller at a time; steps run in order.</summary>
public interface IProgram : IDisposable
{
    /// <summary>Outputs, caches, limits.</summary>
    ProgramSignature Signature { get; }

    /// <summary>Starts a step over states (at most one holding caches, at most one an edit table); a CPU may return it finished. Bad steps throw <see cref="ArgumentException"/> before anything is written.</summary>
    StepTicket Enqueue(in Step step, ReadOnlySpan<IState> states);

    /// <summary>Whether the step has finished.</summary>
    bool IsDone(StepTicket ticket);

    /// <summary>Waits for the step.</summary>
    void Wait(StepTicket ticket, CancellationToken cancel = default);

    /// <summary>A finished step's output, row-major [rows, width]; valid until <see cref="Release"/> or the next Enqueue.</summary>
    ReadOnlySpan<T> Output<T>(StepTicket ticket, OutputId id) where T : unmanaged;

    /// <summary>Gives the ticket's buffers back.</summary>
    void Release(StepTicket ticket);
}
