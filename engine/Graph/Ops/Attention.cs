using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>Attention of the rows over their sequence. Inputs: q [Rows, Heads · KeyWidth] and either a cache version, or k and v of this step's rows (no state).</summary>
/// <param name="Spec">Heads, scale, mask, window.</param>
/// <param name="Statistics">
/// Also gives three values [Rows, Heads] about the weights p of each head: entropy −Σ p ln p in nats, the largest weight of a key, the weight of the key at position 0 (0 where it is not seen). A learned sink is one more
/// outcome of the entropy; its weight is missing in the sum of the others, and it is no key.
/// </param>
public sealed record Attention(AttentionSpec Spec, bool Statistics = false) : Op
{
    /// <summary>Outputs of the statistics.</summary>
    public const int Entropy = 1, Largest = 2, First = 3;

    /// <inheritdoc/>
    public override IEnumerable<Weight> Weights => Spec.Sinks is null ? [] : [Spec.Sinks];

    /// <inheritdoc/>
    public override string Attributes => $"{Spec.Heads}/{Spec.KvHeads} heads of {Spec.KeyWidth}/{Spec.ValueWidth}, {Spec.Mask}, scale {Spec.Scale:G6}" + (Spec.Window is null ? "" : $", window {Spec.Window}")
        + (Spec.SoftCap is null ? "" : $", cap {Spec.SoftCap}") + (Spec.AlibiSlopes.IsEmpty ? "" : ", ALiBi") + (Spec.ValueFromKey ? ", value from key" : "") + (Spec.Sinks is null ? "" : ", sinks") + (Statistics ? ", statistics" : "");

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        var s = Spec;
        Expect(inputs.Length is 2 or 3, $"takes 2 or 3 inputs, has {inputs.Length}");
        Expect(s.Heads > 0 && s.KvHeads > 0 && s.Heads % s.KvHeads == 0, $"{s.KvHeads} key heads don't divide {s.Heads} heads");
        Expect(s.KeyWidth > 0 && s.ValueWidth > 0 && (!s.ValueFromKey || s.ValueWidth <= s.KeyWidth), $"head widths {s.KeyWidth}/{s.ValueWidth}");
        Expect(double.IsFinite(s.Scale) && s.Window is null or > 0 && s.SoftCap is null or > 0, $"scale {s.Scale}, window {s.Window}, cap {s.SoftCap}");
        Expect(s.Mask == AttentionMask.Causal || s.Window is null, "a window needs the causal mask");
        Expect(s.AlibiSlopes.IsEmpty || s.AlibiSlopes.Length == s.Heads, $"{s.AlibiSlopes.Length} slopes for {s.Heads} heads");
        Expect((long)s.Heads * Math.Max(s.KeyWidth, s.ValueWidth) <= int.MaxValue / 2, $"{s.Heads} heads of {s.KeyWidth}/{s.ValueWidth} are too many");
        ExpectVector(s.Sinks, s.Heads, "sinks");
        Expect(inputs[0] == ValueInfo.F32(RowAxis.Rows, s.Heads * s.KeyWidth), $"queries must be F32[Rows,{s.Heads * s.KeyWidth}], are {inputs[0]}");
        int keys = s.KvHeads * s.KeyWidth, values = s.ValueFromKey ? 0 : s.KvHeads * s.ValueWidth;
        if (inputs.Length == 2)
        {
            Expect(inputs[1] == new ValueInfo(RowAxis.Rows, keys + values, ElementType.KvCache), $"the cache must be {keys}+{values} wide, is {inputs[1]}");
            Expect(s.Mask == AttentionMask.Causal, "a cache needs the causal mask");
        }
        else
        {
            Expect(!s.ValueFromKey, "values can't come from keys without a cache");
            Expect(inputs[1] == ValueInfo.F32(RowAxis.Rows, keys) && inputs[2] == ValueInfo.F32(RowAxis.Rows, values), $"keys and values are {inputs[1]}, {inputs[2]}");
        }
        ValueInfo result = ValueInfo.F32(RowAxis.Rows, s.Heads * s.ValueWidth), heads = ValueInfo.F32(RowAxis.Rows, s.Heads);
        return Statistics ? [result, heads, heads, heads] : [result];
    }
}
