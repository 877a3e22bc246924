using Tare.Execution;
using Tare.Graphs;

namespace Tare.Backends.Cpu;

/// <summary>A program's copy of the step that runs, in native memory, with what kernels ask for a row.</summary>
internal sealed unsafe class CpuStep : IDisposable
{
    private readonly NativeBuffer<int> _rows; // [5, MaxRows]: tokens, positions, sequences, adapters, output rows
    private readonly NativeBuffer<SequenceRows> _sequences;
    private readonly NativeBuffer<float> _residual;
    private NativeBuffer<int> _pages, _pageStarts;

    public CpuStep(ProgramLimits limits, int residualWidth)
    {
        _rows = new NativeBuffer<int>(4L * limits.MaxRows + limits.MaxOutputRows);
        _sequences = new NativeBuffer<SequenceRows>(limits.MaxSequences);
        _residual = new NativeBuffer<float>((long)limits.MaxRows * residualWidth);
        _pages = new NativeBuffer<int>(256);
        _pageStarts = new NativeBuffer<int>(64);
        Tokens = _rows.Pointer;
        Positions = _rows.Pointer + limits.MaxRows;
        SequenceOf = _rows.Pointer + 2L * limits.MaxRows;
        AdapterOf = _rows.Pointer + 3L * limits.MaxRows;
        OutputRows = _rows.Pointer + 4L * limits.MaxRows;
    }

    /// <summary>[Rows] token ids.</summary>
    public int* Tokens { get; }

    /// <summary>[Rows] absolute positions.</summary>
    public int* Positions { get; }

    /// <summary>[Rows] index of the row's sequence.</summary>
    public int* SequenceOf { get; }

    /// <summary>[Rows] adapter slots.</summary>
    public int* AdapterOf { get; }

    /// <summary>[OutputCount] rows whose logits are wanted.</summary>
    public int* OutputRows { get; }

    /// <summary>[Rows, width] residual stream that the step brings.</summary>
    public float* Residual => _residual.Pointer;

    /// <summary>[SequenceCount].</summary>
    public SequenceRows* Sequences => _sequences.Pointer;

    /// <summary>Rows, output rows and sequences of this step.</summary>
    public int Rows { get; private set; }
    public int OutputCount { get; private set; }
    public int SequenceCount { get; private set; }

    /// <summary>Whether any row selects an adapter.</summary>
    public bool HasAdapters { get; private set; }

    /// <summary>The caches, or null.</summary>
    public CpuState? State { get; private set; }

    public int RowsOf(RowAxis axis) => axis switch
    {
        RowAxis.Rows => Rows,
        RowAxis.OutputRows => OutputCount,
        _ => SequenceCount,
    };

    /// <summary>The page of a KV group that holds positions 32 · index … of a sequence.</summary>
    public int Page(int sequence, int group, int index) => _pages.Pointer[_pageStarts.Pointer[sequence * State!.Layout.Kv.Groups.Length + group] + index];

    public void Copy(in Step step, CpuState? state)
    {
        (State, Rows, OutputCount, SequenceCount) = (state, step.Rows, step.OutputRows.Length, step.Sequences.Length);
        step.Sequences.CopyTo(_sequences.Span(0, SequenceCount));
        for (int s = 0; s < SequenceCount; s++)
        {
            var sequence = step.Sequences[s];
            for (int r = 0; r < sequence.Rows; r++) (SequenceOf[sequence.FirstRow + r], Positions[sequence.FirstRow + r]) = (s, sequence.FirstPosition + r);
        }
        step.Tokens.CopyTo(new Span<int>(Tokens, Rows));
        step.OutputRows.CopyTo(new Span<int>(OutputRows, OutputCount));
        step.Residual.CopyTo(_residual.Span(0, checked((int)_residual.Length)));
        HasAdapters = false;
        for (int r = 0; r < Rows; r++) HasAdapters |= (AdapterOf[r] = step.Slots.IsEmpty ? 0 : step.Slots[r].Adapter) != 0;
        Fit(ref _pages, step.Pages);
        Fit(ref _pageStarts, step.PageStarts);
    }

    public void Dispose()
    {
        _rows.Dispose();
        _sequences.Dispose();
        _residual.Dispose();
        _pages.Dispose();
        _pageStarts.Dispose();
    }

    private static void Fit(ref NativeBuffer<int> buffer, ReadOnlySpan<int> values)
    {
        if (buffer.Length < values.Length)
        {
            long length = Math.Max(values.Length, 2 * buffer.Length);
            buffer.Dispose();
            buffer = new NativeBuffer<int>(length);
        }
        values.CopyTo(buffer.Span(0, values.Length));
    }
}
