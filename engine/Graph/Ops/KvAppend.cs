using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>Rounds the rows' keys and values into a layer's cache and yields the version that Attention reads. Inputs: k [Rows, KeyWidth], and v [Rows, ValueWidth] unless that is 0.</summary>
/// <param name="Layer">Index of the cache; one KvAppend a layer.</param>
/// <param name="Heads">Key and value heads.</param>
/// <param name="KeyWidth">All heads together.</param>
/// <param name="ValueWidth">All heads together; 0 where values are read from the keys.</param>
/// <param name="Window">Positions that stay visible, or null for all.</param>
public sealed record KvAppend(int Layer, int Heads, int KeyWidth, int ValueWidth, int? Window = null) : Op
{
    /// <summary>Element type of cached keys.</summary>
    public KvType KeyType { get; init; }

    /// <summary>Element type of cached values; not used where they are read from the keys.</summary>
    public KvType ValueType { get; init; }

    /// <inheritdoc/>
    public override string Attributes => $"layer {Layer}, {Heads} heads, {KeyWidth}+{ValueWidth}" + (Window is null ? "" : $", window {Window}") + ((KeyType, ValueType) == default ? "" : $", {KeyType}/{ValueType}");

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        ExpectCount(inputs, ValueWidth == 0 ? 1 : 2);
        Expect(Layer >= 0 && KeyWidth > 0 && ValueWidth >= 0 && Window is null or > 0, Attributes);
        Expect(Heads > 0 && KeyWidth % Heads == 0 && ValueWidth % Heads == 0, $"{Heads} heads don't divide {KeyWidth}+{ValueWidth}");
        Expect(Enum.IsDefined(KeyType) && Enum.IsDefined(ValueType), $"cache types {KeyType}/{ValueType}");
        Expect(inputs[0] == ValueInfo.F32(RowAxis.Rows, KeyWidth), $"keys must be F32[Rows,{KeyWidth}], are {inputs[0]}");
        if (ValueWidth > 0) Expect(inputs[1] == ValueInfo.F32(RowAxis.Rows, ValueWidth), $"values must be F32[Rows,{ValueWidth}], are {inputs[1]}");
        return [new ValueInfo(RowAxis.Rows, KeyWidth + ValueWidth, ElementType.KvCache)];
    }
}
