using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Reference;

/// <summary>One op on one step: <c>x</c> input values [rows · width], <c>y</c> output values to be filled.</summary>
internal delegate void ReferenceKernel<TOp>(TOp op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step) where TOp : Op;

/// <summary>The kernel of each op.</summary>
internal static class ReferenceOps
{
    private static readonly Dictionary<Type, Action<Node, ValueInfo[], double[][], double[][], ReferenceStep>> Kernels = [];

    static ReferenceOps()
    {
        Add<Input>(Pointwise.Input);
        Add<Embed>(Pointwise.Embed);
        Add<Activate>(Pointwise.Activate);
        Add<GatedActivate>(Pointwise.GatedActivate);
        Add<ClampedGlu>(Pointwise.ClampedGlu);
        Add<Add>(Pointwise.Add);
        Add<Multiply>(Pointwise.Multiply);
        Add<Scale>((op, _, x, y, _) => Pointwise.Map(x[0], y[0], v => op.Factor * v));
        Add<SoftCap>((op, _, x, y, _) => Pointwise.Map(x[0], y[0], v => op.Cap * Math.Tanh(v / op.Cap)));
        Add<Center>(Norms.Center);
        Add<Norm>(Norms.Normalize);
        Add<DepthAttention>(Norms.DepthAttention);
        Add<RotatePairs>(Norms.RotatePairs);
        Add<QuantizeRows>(Pointwise.Quantize);
        Add<Linear>(Linears.Linear);
        Add<GroupLinear>(Linears.GroupLinear);
        Add<ExpertLinear>(Linears.ExpertLinear);
        Add<Router>(Experts.Route);
        Add<CombineExperts>(Experts.Combine);
        Add<Split>(Columns.Split);
        Add<SplitGroups>(Columns.SplitGroups);
        Add<JoinGroups>(Columns.JoinGroups);
        Add<SelectRows>(Columns.SelectRows);
        Add<Pool>(Columns.Pool);
        Add<Rope>(Rotary.Rotate);
        Add<Edit>(Edits.Apply);
        Add<NormScale>(Observations.NormScale);
        Add<RowStatistics>(Observations.RowStatistics);
        Add<KvAppend>(AttentionOps.Append);
        Add<Attention>(AttentionOps.Attend);
    }

    /// <summary>Names of all ops that have a kernel, sorted.</summary>
    public static IReadOnlyList<string> Names => [.. Kernels.Keys.Select(t => t.Name).Order(StringComparer.Ordinal)];

    public static bool Knows(Op op) => Kernels.ContainsKey(op.GetType());

    public static void Run(Node node, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step) => Kernels[node.Op.GetType()](node, types, x, y, step);

    private static void Add<TOp>(ReferenceKernel<TOp> kernel) where TOp : Op => Kernels.Add(typeof(TOp), (node, types, x, y, step) => kernel((TOp)node.Op, types, x, y, step));
}
