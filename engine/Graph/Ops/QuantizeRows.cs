using System.Collections.Immutable;

namespace Tare.Graphs.Ops;

/// <summary>
/// y = s · round(x / s) for each block of 32 elements of a row, s = max |x| / 127 in F32, rounding to even: activations as eight-bit integers, for products with block-quantized weights. A backend may keep
/// the integers; only Linear reads them.
/// </summary>
public sealed record QuantizeRows : Op
{
    /// <summary>Elements that share a scale.</summary>
    public const int Block = 32;

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        var x = Single(inputs);
        Expect(x.Width % Block == 0, $"blocks of {Block} don't divide width {x.Width}");
        return [x];
    }
}
