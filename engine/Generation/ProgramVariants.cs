using System.Collections.Immutable;
using Tare.Capture;
using Tare.Capture.Editing;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Graphs;

namespace Tare.Generation;

/// <summary>Programs of a model that edit sites, one for each set of sites (and capture), over the weights that are packed already. The last few are kept. Used by the loop's thread alone.</summary>
internal sealed class ProgramVariants(IBackend backend, IWeightStore weights, Graph graph, ProgramLimits limits, Lazy<EditPlanner> planner) : IDisposable
{
    private const int Kept = 4;

    private readonly LinkedList<(ImmutableArray<int> Sites, CaptureSpec? Capture, IProgram Program)> _programs = new(); // the last used one comes last

    /// <summary>The program that edits these columns of the edit table, ascending, and serves a capture where there is one. It stays valid until the next call.</summary>
    public IProgram Get(ImmutableArray<int> sites, CaptureSpec? capture)
    {
        for (var node = _programs.First; node is not null; node = node.Next)
            if (ReferenceEquals(node.Value.Capture, capture) && node.Value.Sites.SequenceEqual(sites))
            {
                _programs.Remove(node);
                _programs.AddLast(node);
                return node.Value.Program;
            }
        var edited = planner.Value.Edit(sites);
        var program = backend.Compile(capture is null ? edited.Graph : capture.Apply(graph, planner.Value.Map, edited).Graph, weights, limits);
        _programs.AddLast((sites, capture, program));
        while (_programs.Count > Kept) Remove(_programs.First!);
        return program;
    }

    /// <summary>Disposes the variants of a capture that has ended.</summary>
    public void Drop(CaptureSpec capture)
    {
        for (var node = _programs.First; node is not null;)
        {
            var next = node.Next;
            if (ReferenceEquals(node.Value.Capture, capture)) Remove(node);
            node = next;
        }
    }

    /// <summary>An edit table with some slots.</summary>
    public IState CreateTable(int slots)
    {
        var state = backend.CreateState(StateLayout.ForEdits(planner.Value.Sites.Table(slots)));
        if (state.Edits is not null) return state;
        state.Dispose();
        throw new UnsupportedOpException($"{backend.Device.Name} ({backend.Device.Backend}) has no edit tables");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        while (_programs.First is { } node) Remove(node);
    }

    private void Remove(LinkedListNode<(ImmutableArray<int> Sites, CaptureSpec? Capture, IProgram Program)> node)
    {
        _programs.Remove(node);
        node.Value.Program.Dispose();
    }
}
