using Tare.Execution;
using Tare.Graphs;

namespace Tare.Backends.Cpu;

/// <summary>A program's copy of the step that runs, in native memory, with what kernels ask for a row.</summary>
internal sealed unsafe class CpuStep : IDisposable
{
    private readonly NativeBuffer<int> _rows; // [6, MaxRows]: tokens, positions, sequences, adapters, edit slots, output rows
    private readonly NativeBuffer<ulong> _editRows;
    private readonly NativeBuffer<SequenceRows> _sequences;
    private readonly NativeBuffer<float> _residual;
    private NativeBuffer<int> _pages, _pageStarts;

    public CpuStep(ProgramLimits limits, int residualWidth)
    {
        _rows = new NativeBuffer<int>(5L * limits.MaxRows + limits.MaxOutputRows);
        _editRows = new NativeBuffer<ulong>(limits.MaxRows);
        _sequences = new NativeBuffer<SequenceRows>(limits.MaxSequences);
        _residual = new NativeBuffer<float>((long)limits.MaxRows * residualWidth);
        _pages = new NativeBuffer<int>(256);
        _pageStarts = new NativeBuffer<int>(64);
        Tokens = _rows.Pointer;
        Positions = _rows.Pointer + limits.MaxRows;
        SequenceOf = _rows.Pointer + 2L * limits.MaxRows;
        AdapterOf = _rows.Pointer + 3L * limits.MaxRows;
        EditOf = _rows.Pointer + 4L * limits.MaxRows;
        OutputRows = _rows.Pointer + 5L * limits.MaxRows;
    }

    /// <summary>[Rows] token ids.</summary>
    public int* Tokens { get; }

    /// <summary>[Rows] absolute positions.</summary>
    public int* Positions { get; }

    /// <summary>[Rows] index of the row's sequence.</summary>
    public int* SequenceOf { get; }

    /// <summary>[Rows] adapter slots.</summary>
    public int* AdapterOf { get; }

    /// <summary>[Rows] slots of the edit table.</summary>
    public int* EditOf { get; }

    /// <summary>[Rows] row selections of the slot's entry that contain the row.</summary>
    public ulong* EditRows => _editRows.Pointer;

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

    /// <summary>Whether any row selects an edit.</summary>
    public bool HasEdits { get; private set; }

    /// <summary>The edit table, or null.</summary>
    public CpuEditTable? Edits { get; private set; }

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

    public void Copy(in Step step, CpuState? state, CpuEditTable? edits)
    {
        Edits = edits;
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
        HasAdapters = HasEdits = false;
        for (int r = 0; r < Rows; r++)
        {
            var slots = step.Slots.IsEmpty ? default : step.Slots[r];
            HasAdapters |= (AdapterOf[r] = slots.Adapter) != 0;
            HasEdits |= (EditOf[r] = slots.Edit) != 0;
            EditRows[r] = slots.EditRows;
        }
        Fit(ref _pages, step.Pages);
        Fit(ref _pageStarts, step.PageStarts);
    }

    public void Dispose()
    {
        _rows.Dispose();
        _editRows.Dispose();
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
