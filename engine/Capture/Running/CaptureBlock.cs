using Tare.Execution;

namespace Tare.Capture.Running;

/// <summary>What a captured row is.</summary>
/// <param name="Row">Number of the row in the run.</param>
/// <param name="Sequence">Number of its sequence.</param>
/// <param name="Position">Its position in the sequence.</param>
/// <param name="Token">Its token id.</param>
/// <param name="Phase">Read or generated.</param>
public readonly record struct RowLabel(long Row, long Sequence, int Position, int Token, Phase Phase);

/// <summary>Some rows of all captured outputs, with their labels. Blocks are used again and again: a sink must not keep one.</summary>
public sealed class CaptureBlock
{
    private readonly float[][] _values; // [outputs][rows, width]
    private readonly RowLabel[] _labels;
    private readonly int[] _widths, _first; // of each output: elements of a row; the first output that is the same value

    internal CaptureBlock(IReadOnlyList<CaptureOutput> outputs, int[] first, int rows)
    {
        _first = first;
        _widths = [.. outputs.Select(o => o.Width)];
        _values = [.. _widths.Select((w, i) => first[i] == i ? new float[checked(rows * w)] : [])];
        _labels = new RowLabel[rows];
    }

    /// <summary>Rows that it holds.</summary>
    public int Rows { get; internal set; }

    /// <summary>The labels of the rows.</summary>
    public ReadOnlySpan<RowLabel> Labels => _labels.AsSpan(0, Rows);

    internal int Capacity => _labels.Length;

    /// <summary>A row of an output, by its index in the capture's outputs.</summary>
    public ReadOnlySpan<float> Row(int output, int row) => _values[_first[output]].AsSpan(row * _widths[output], _widths[output]);

    internal void Add(RowLabel label) => _labels[Rows++] = label;

    internal void Fill(int output, int firstRow, ReadOnlySpan<float> values) => values.CopyTo(_values[output].AsSpan(firstRow * _widths[output]));
}

/// <summary>Takes captured rows. Calls come one at a time, from a thread of the capture.</summary>
public interface ICaptureSink
{
    /// <summary>The next rows, in order.</summary>
    void Write(CaptureBlock block);

    /// <summary>Positions of a sequence whose rows are not captured: they were computed before the capture began.</summary>
    void Missing(long sequence, int firstPosition, int count);

    /// <summary>All rows were written.</summary>
    void Complete();
}
