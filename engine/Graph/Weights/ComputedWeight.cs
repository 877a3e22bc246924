using Tare.Formats;

namespace Tare.Graphs.Weights;

/// <summary>A weight of the same shape as its source whose elements are computed, in F64; F32 readers get them rounded once.</summary>
public abstract record ComputedWeight(Weight Source) : Weight
{
    /// <inheritdoc/>
    public override IEnumerable<Weight> Operands => [Source];

    /// <inheritdoc/>
    public override long Rows => Source.Rows;

    /// <inheritdoc/>
    public override int Width => Source.Width;

    /// <inheritdoc/>
    public override TensorType Type => ResultType(Source.Type);

    /// <summary>What arithmetic makes of a stored type: F64 stays, F32, F16 and BF16 give F32, block-quantized types F16.</summary>
    public static TensorType ResultType(TensorType type) => type switch
    {
        TensorType.F64 => TensorType.F64,
        TensorType.F32 or TensorType.F16 or TensorType.BF16 => TensorType.F32,
        _ => TensorType.F16,
    };

    /// <inheritdoc/>
    public override void Read(long firstRow, int count, Span<float> destination)
    {
        CheckRange(firstRow, count, destination.Length);
        var wide = new double[count * Width];
        Read(firstRow, count, wide);
        for (int i = 0; i < wide.Length; i++) destination[i] = (float)wide[i];
    }
}
