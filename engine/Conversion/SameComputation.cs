using System.Collections.Immutable;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Conversion;

/// <summary>
/// Compares what two graphs compute, node by node, apart from where the formats are meant to differ: rotary pairs, the order of fused rows, 1 + w. Numbers may differ by what F32 loses.
/// </summary>
internal static class SameComputation
{
    private const double Tolerance = 1e-5;

    /// <summary>The first difference in words, or null.</summary>
    public static string? Difference(Graph wanted, Graph read)
    {
        for (int i = 0; i < Math.Min(wanted.Nodes.Length, read.Nodes.Length); i++)
        {
            var (a, b) = (wanted.Nodes[i], read.Nodes[i]);
            var ((what, numbers), (otherWhat, otherNumbers)) = (Describe(a.Op), Describe(b.Op));
            string place = a.Block < 0 ? "" : $" in block {a.Block}";
            if (what != otherWhat || !a.Inputs.SequenceEqual(b.Inputs)) return $"{what}{place} would be read as {otherWhat}";
            if (numbers.Length != otherNumbers.Length || numbers.Zip(otherNumbers).Any(p => !Near(p.First, p.Second)))
                return $"{what}{place} has {string.Join(", ", numbers.Take(4))}{(numbers.Length > 4 ? ", …" : "")}, which would be read as {string.Join(", ", otherNumbers.Take(4))}{(otherNumbers.Length > 4 ? ", …" : "")}";
        }
        return wanted.Nodes.Length == read.Nodes.Length ? null : $"{wanted.Nodes.Length} operations would be read as {read.Nodes.Length}";
    }

    private static bool Near(double a, double b) => a.Equals(b) || Math.Abs(a - b) <= Tolerance * Math.Max(Math.Abs(a), Math.Abs(b));

    private static (string What, double[] Numbers) Describe(Op op) => op switch
    {
        Norm n => ($"{n.Spec.Kind} over {n.Spec.Groups} parts, gain {n.Gain is not null}, bias {n.Bias is not null}", [n.Spec.Epsilon]),
        Rope r => ($"Rope of {r.Spec.Heads} × {r.Spec.HeadWidth}, {r.Spec.RotatedWidth} from {r.Spec.Offset}, {Dynamic(r.Spec.Dynamic)}", [r.Spec.Magnitude, .. r.Spec.InverseFrequencies, .. (r.Spec.Dynamic as LongRope)?.LongFrequencies ?? []]),
        Attention a => ($"Attention {a.Spec.Heads}/{a.Spec.KvHeads} × {a.Spec.KeyWidth}/{a.Spec.ValueWidth}, {a.Spec.Mask}, window {a.Spec.Window?.ToString() ?? "none"}, sinks {a.Spec.Sinks is not null}, latent {a.Spec.ValueFromKey}",
            [a.Spec.Scale, a.Spec.SoftCap ?? 0, .. a.Spec.AlibiSlopes]),
        KvAppend k => ($"KvAppend {k.KeyWidth}/{k.ValueWidth}", []), // its window is the reader's
        Router r => ($"Router {r.Spec.UsedExperts} of {r.Spec.Experts}, {r.Spec.Score}, normalized {r.Spec.Normalize}, {r.Spec.UsedGroups} of {r.Spec.Groups} groups, correction {r.Correction is not null}", [r.Spec.Scale, r.Spec.NormalizeEpsilon]),
        Scale s => ("Scale", [s.Factor]),
        SoftCap s => ("SoftCap", [s.Cap]),
        ClampedGlu g => ("ClampedGlu", [g.Alpha, g.Limit]),
        Activate a => ($"Activate {a.Kind}", []),
        GatedActivate a => ($"GatedActivate {a.Kind}", []),
        Split s => ($"Split into {string.Join(", ", s.Widths)}", []),
        SplitGroups { Widths.Length: 3 } s => ($"Split into {string.Join(", ", s.Widths.Select(w => w * s.Groups))}", []),
        Linear l => ($"Linear{Shape(l.Weight)}, bias {l.Bias is not null}", []),
        ExpertLinear l => ($"ExpertLinear{Shape(l.Weight)}, bias {l.Bias is not null}", []),
        GroupLinear l => ($"GroupLinear{Shape(l.Weight)}", []),
        Embed e => ($"Embed{Shape(e.Table)} from {e.Offset}", []),
        _ => (op.GetType().Name, []),
    };

    private static string Dynamic(LengthDependentRope? rope) => rope switch
    {
        null => "for all lengths",
        DynamicRope d => $"dynamic beyond {d.OriginalLength} by {d.Factor}",
        _ => $"another table beyond {rope.OriginalLength}",
    };

    private static string Shape(Weight weight) => $" [{weight.Rows},{weight.Width}]";
}
