using System.Diagnostics.CodeAnalysis;
using Tare.Backends.Cpu;
using Tare.Execution;
using Tare.Graphs;

namespace Tare.Tests.Support;

/// <summary>The CPU backend, with a list of what each step was told.</summary>
internal sealed class RecordingBackend : IBackend
{
    private readonly CpuBackend _backend = new(1);

    /// <summary>Of each step its phase, first position, and whether each of its rows names an entry of the edit table.</summary>
    public List<(Phase Phase, int Position, bool[] Edited)> Steps { get; } = [];

    public DeviceInfo Device => _backend.Device;

    public bool Supports(Op op, [NotNullWhen(false)] out string? reason) => _backend.Supports(op, out reason);

    public IWeightStore CreateWeightStore() => _backend.CreateWeightStore();

    public IState CreateState(StateLayout layout) => _backend.CreateState(layout);

    public IProgram Compile(Graph graph, IWeightStore weights, ProgramLimits limits, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default)
        => new RecordingProgram(_backend.Compile(graph, weights, limits, progress, cancel), Steps);

    public void Dispose() => _backend.Dispose();

    private sealed class RecordingProgram(IProgram program, List<(Phase, int, bool[])> steps) : IProgram
    {
        public ProgramSignature Signature => program.Signature;

        public StepTicket Enqueue(in Step step, ReadOnlySpan<IState> states)
        {
            var edited = new bool[step.Rows];
            for (int r = 0; r < step.Slots.Length; r++) edited[r] = step.Slots[r] is { Edit: > 0, EditRows: > 0 };
            steps.Add((step.Sequences[0].Phase, step.Sequences[0].FirstPosition, edited));
            return program.Enqueue(step, states);
        }

        public bool IsDone(StepTicket ticket) => program.IsDone(ticket);

        public void Wait(StepTicket ticket, CancellationToken cancel = default) => program.Wait(ticket, cancel);

        public ReadOnlySpan<T> Output<T>(StepTicket ticket, OutputId id) where T : unmanaged => program.Output<T>(ticket, id);

        public void Release(StepTicket ticket) => program.Release(ticket);

        public void Dispose() => program.Dispose();
    }
}
