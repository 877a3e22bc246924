using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Graphs;

namespace Tare.Backends.Reference;

/// <summary>A step's data as arrays, with what kernels ask for a row: its sequence, its position, its slots.</summary>
internal sealed class ReferenceStep
{
    private readonly ParallelOptions _parallel;

    public ReferenceStep(in Step step, ReferenceState? state, EditTable? edits, ReferenceWeights weights, int threads)
    {
        (State, Edits, Weights, _parallel) = (state, edits, weights, new ParallelOptions { MaxDegreeOfParallelism = threads });
        Sequences = step.Sequences.ToArray();
        Rows = step.Rows;
        Tokens = step.Tokens.ToArray();
        Residual = step.Residual.ToArray();
        Pages = step.Pages.ToArray();
        PageStarts = step.PageStarts.ToArray();
        OutputRows = step.OutputRows.ToArray();
        AdapterOf = step.Slots.IsEmpty ? new int[Rows] : [.. step.Slots.ToArray().Select(s => s.Adapter)];
        Slots = step.Slots.IsEmpty ? new RowSlots[Rows] : step.Slots.ToArray();
        SequenceOf = new int[Rows];
        PositionOf = new int[Rows];
        for (int s = 0; s < Sequences.Length; s++)
            for (int r = 0; r < Sequences[s].Rows; r++)
                (SequenceOf[Sequences[s].FirstRow + r], PositionOf[Sequences[s].FirstRow + r]) = (s, Sequences[s].FirstPosition + r);
    }

    public ReferenceState? State { get; }
    public EditTable? Edits { get; }
    public ReferenceWeights Weights { get; }
    public SequenceRows[] Sequences { get; }
    public int Rows { get; }
    public int[] Tokens { get; }
    public float[] Residual { get; }
    public int[] Pages { get; }
    public int[] PageStarts { get; }
    public int[] OutputRows { get; }
    public int[] AdapterOf { get; }
    public RowSlots[] Slots { get; }
    public int[] SequenceOf { get; }
    public int[] PositionOf { get; }

    /// <summary>The layer behind a cache value, by the (empty) array that stands for it.</summary>
    public Dictionary<double[], int> Caches { get; } = new(ReferenceEqualityComparer.Instance);

    /// <summary>Runs independent pieces of a kernel; what a piece computes does not depend on the number of threads.</summary>
    public void ForEach(int count, Action<int> piece) => Parallel.For(0, count, _parallel, piece);

    public int RowsOf(RowAxis axis) => axis switch
    {
        RowAxis.Rows => Rows,
        RowAxis.OutputRows => OutputRows.Length,
        _ => Sequences.Length,
    };

    /// <summary>The page that holds a position of a sequence, for a KV group.</summary>
    public double[] PageOf(int sequence, int group, int position)
    {
        int groups = State!.Layout.Kv.Groups.Length;
        return State.Page(group, Pages[PageStarts[sequence * groups + group] + position / KvLayout.PageTokens]);
    }
}
