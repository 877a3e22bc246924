using System.Collections.Immutable;

namespace Tare.Graphs.Ops;

/// <summary>
/// y = s · round(x / s) for each block of 32 elements of a row, s = max |x| / m in F32, rounding to even: activations as integers −m … m, for products with block-quantized weights. A backend may keep the
/// integers; only Linear reads them.
/// </summary>
/// <param name="Bits">8 (m = 127) or 16 (m = 32767).</param>
public sealed record QuantizeRows(int Bits = 8) : Op
{
    /// <summary>Elements that share a scale.</summary>
    public const int Block = 32;

    /// <summary>The largest integer.</summary>
    public int Largest => (1 << (Bits - 1)) - 1;

    /// <inheritdoc/>
    public override string Attributes => $"{Bits} bits";

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        var x = Single(inputs);
        Expect(Bits is 8 or 16, $"{Bits} bits are neither 8 nor 16");
        Expect(x.Width % Block == 0, $"blocks of {Block} don't divide width {x.Width}");
        return [x];
    }
}
