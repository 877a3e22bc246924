using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>Writes the rows' keys and values into a layer's cache and yields the version that Attention reads. Inputs: k [Rows, KeyWidth], and v [Rows, ValueWidth] unless that is 0.</summary>
/// <param name="Layer">Index of the cache; one KvAppend a layer.</param>
/// <param name="KeyWidth">All heads together.</param>
/// <param name="ValueWidth">All heads together; 0 where values are read from the keys.</param>
/// <param name="Window">Positions that stay visible, or null for all.</param>
public sealed record KvAppend(int Layer, int KeyWidth, int ValueWidth, int? Window = null) : Op
{
    /// <inheritdoc/>
    public override string Attributes => $"layer {Layer}, {KeyWidth}+{ValueWidth}" + (Window is null ? "" : $", window {Window}");

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        ExpectCount(inputs, ValueWidth == 0 ? 1 : 2);
        Expect(Layer >= 0 && KeyWidth > 0 && ValueWidth >= 0 && Window is null or > 0, Attributes);
        Expect(inputs[0] == ValueInfo.F32(RowAxis.Rows, KeyWidth), $"keys must be F32[Rows,{KeyWidth}], are {inputs[0]}");
        if (ValueWidth > 0) Expect(inputs[1] == ValueInfo.F32(RowAxis.Rows, ValueWidth), $"values must be F32[Rows,{ValueWidth}], are {inputs[1]}");
        return [new ValueInfo(RowAxis.Rows, KeyWidth + ValueWidth, ElementType.KvCache)];
    }
}
