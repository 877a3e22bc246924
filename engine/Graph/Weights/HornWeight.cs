using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>Row p holds 1 / (p + 1) everywhere: what the Three-Phase Transformer (arXiv 2604.14430) puts in place of an embedding's mean.</summary>
/// <param name="Positions">Rows.</param>
/// <param name="Columns">Width.</param>
public sealed record HornWeight(int Positions, int Columns) : Weight
{
    /// <inheritdoc/>
    public override long Rows => Positions;

    /// <inheritdoc/>
    public override int Width => Columns;

    /// <inheritdoc/>
    public override TensorType Type => TensorType.F32;

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        for (int r = 0; r < count; r++) destination.Slice(r * Width, Width).Fill((float)(1.0 / (firstRow + r + 1)));
    }

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<double> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        for (int r = 0; r < count; r++) destination.Slice(r * Width, Width).Fill(1.0 / (firstRow + r + 1));
    }

    /// <inheritdoc/>
    public override string ToString() => "1/(position + 1)";
}
