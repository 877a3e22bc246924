using Tare.Backends.Cpu.Kernels;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu;

/// <summary>Makes the kernel of a node.</summary>
internal delegate CpuKernel KernelFactory<TOp>(KernelContext context, TOp op, Node node, Value value) where TOp : Op;

/// <summary>The kernel of each op.</summary>
internal static class CpuOps
{
    private static readonly Dictionary<Type, Func<KernelContext, Node, Value, CpuKernel>> Factories = [];

    static CpuOps()
    {
        Add<Input>((context, op, node, value) => new InputKernel(context, op, value));
        Add<Embed>((context, op, node, value) => new EmbedKernel(context, op, node, value));
        Add<Norm>((context, op, node, value) => new NormKernel(context, op.Spec, op.Gain, op.Bias, node, value));
        Add<QuantizeRows>((context, op, node, value) => new QuantizeRowsKernel(context, op.Largest, node, value));
        Add<Center>((context, op, node, value) => new NormKernel(context, new NormSpec(NormKind.Static, 1, Center: true), null, null, node, value));
        Add<Linear>((context, op, node, value) => new LinearKernel(context, op, node, value));
        Add<GroupLinear>((context, op, node, value) => new GroupLinearKernel(context, op, node, value));
        Add<ExpertLinear>((context, op, node, value) => new ExpertLinearKernel(context, op, node, value));
        Add<Router>((context, op, node, value) => new RouterKernel(context, op, node, value));
        Add<CombineExperts>((context, op, node, value) => new CombineExpertsKernel(context, node, value));
        Add<Activate>((context, op, node, value) => PointwiseKernels.Activate(context, op.Kind, node, value));
        Add<GatedActivate>((context, op, node, value) => PointwiseKernels.GatedActivate(context, op.Kind, node, value));
        Add<ClampedGlu>((context, op, node, value) => PointwiseKernels.ClampedGlu(context, (float)op.Alpha, (float)op.Limit, node, value));
        Add<Add>((context, op, node, value) => PointwiseKernels.Add(context, node, value));
        Add<Multiply>((context, op, node, value) => context.TypeOf(node.Inputs[0]) == context.TypeOf(node.Inputs[1]) ? PointwiseKernels.Multiply(context, node, value) : new ScaleRowsKernel(context, node, value));
        Add<Scale>((context, op, node, value) => PointwiseKernels.Scale(context, (float)op.Factor, node, value));
        Add<SoftCap>((context, op, node, value) => PointwiseKernels.SoftCap(context, (float)op.Cap, node, value));
        Add<Split>((context, op, node, value) => new SplitGroupsKernel(context, 1, op.Widths, node, value));
        Add<SplitGroups>((context, op, node, value) => new SplitGroupsKernel(context, op.Groups, op.Widths, node, value));
        Add<JoinGroups>((context, op, node, value) => new JoinGroupsKernel(context, op.Groups, node, value));
        Add<SelectRows>((context, op, node, value) => new SelectRowsKernel(context, node, value));
        Add<Pool>((context, op, node, value) => new PoolKernel(context, op.Kind, node, value));
        Add<Rope>((context, op, node, value) => new RopeKernel(context, op.Spec, node, value));
        Add<NormScale>((context, op, node, value) => new NormScaleKernel(context, op.Spec, node, value));
        Add<RowStatistics>((context, op, node, value) => new RowStatisticsKernel(context, op, node, value));
        Add<KvAppend>((context, op, node, value) => new KvAppendKernel(context, op, node));
        Add<Attention>((context, op, node, value) => new AttentionKernel(context, op.Spec, node, value));
    }

    /// <summary>Names of all ops that have a kernel, sorted.</summary>
    public static IReadOnlyList<string> Names => [.. Factories.Keys.Select(t => t.Name).Order(StringComparer.Ordinal)];

    public static bool Knows(Op op) => Factories.ContainsKey(op.GetType());

    /// <summary>Makes the kernel of a node, by its index.</summary>
    public static CpuKernel Bind(KernelContext context, int index) => Factories[context.Graph.Nodes[index].Op.GetType()](context, context.Graph.Nodes[index], new Value(index));

    private static void Add<TOp>(KernelFactory<TOp> factory) where TOp : Op => Factories.Add(typeof(TOp), (context, node, value) => factory(context, (TOp)node.Op, node, value));
}
