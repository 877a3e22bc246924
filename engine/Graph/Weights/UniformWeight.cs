using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>A matrix that holds one value everywhere.</summary>
/// <param name="Count">Its rows.</param>
/// <param name="Columns">Its width.</param>
/// <param name="Value">The value.</param>
public sealed record UniformWeight(long Count, int Columns, double Value) : Weight
{
    /// <inheritdoc/>
    public override long Rows => Count;

    /// <inheritdoc/>
    public override int Width => Columns;

    /// <inheritdoc/>
    public override TensorType Type => TensorType.F32;

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        destination[..(count * Width)].Fill((float)Value);
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        destination[..(count * Width)].Fill(Value);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Value:G6}";
}
