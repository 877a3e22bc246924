using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Tare.Backends.Cpu.Kernels;
using Tare.Backends.Cpu.Kernels.Norms;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu;

/// <summary>Makes the kernel of a node.</summary>
internal delegate CpuKernel KernelFactory<TOp>(KernelContext context, TOp op, Node node, Value value) where TOp : Op;

/// <summary>Makes the function of an op whose rows don't depend on each other, for inputs of these types.</summary>
internal delegate RowFunction RowFunctionFactory<TOp>(KernelContext context, TOp op, ImmutableArray<ValueInfo> inputs) where TOp : Op;

/// <summary>The kernel or row function of each op.</summary>
internal static class CpuOps
{
    private static readonly Dictionary<Type, Func<KernelContext, Node, Value, CpuKernel>> Kernels = [];
    private static readonly Dictionary<Type, RowFunctionFactory<Op>> Functions = [];
    private static readonly HashSet<Type> ColumnTypes = []; // of Functions, those that are column functions

    static CpuOps()
    {
        AddRows<Input>((context, op, inputs) => new InputFunction(op));
        AddRows<Embed>((context, op, inputs) => new EmbedFunction(context, op));
        AddRows<Norm>((context, op, inputs) => op.Spec.Kind switch
        {
            NormKind.DynamicTanh or NormKind.BoundedTanh => new TanhNormFunction(context, op, inputs[0].Width, inputs.Length == 2),
            NormKind.DynamicGain => new DynamicGainFunction(context, op, inputs[0].Width),
            _ => NormFunction.Create(context, op.Spec, op.Gain, op.Bias, inputs[0].Width),
        });
        AddRows<DepthAttention>((context, op, inputs) => new DepthAttentionFunction(op, inputs[0].Width, inputs.Length));
        AddRows<RotatePairs>((context, op, inputs) => new RotatePairsFunction(op, inputs[0].Width));
        AddColumns<QuantizeRows>((context, op, inputs) => new QuantizeRowsFunction(op.Largest, inputs[0].Width));
        AddRows<Center>((context, op, inputs) => NormFunction.Create(context, new NormSpec(NormKind.Static, 1, Center: true), null, null, inputs[0].Width));
        AddRows<Router>((context, op, inputs) => new RouterFunction(context, op));
        AddRows<CombineExperts>((context, op, inputs) => new CombineExpertsFunction(inputs[1].Width, inputs[0].Width / inputs[1].Width));
        AddColumns<Activate>((context, op, inputs) => PointwiseFunctions.Activate(op.Kind, inputs[0].Width));
        AddColumns<GatedActivate>((context, op, inputs) => PointwiseFunctions.GatedActivate(op.Kind, inputs[0].Width));
        AddColumns<ClampedGlu>((context, op, inputs) => PointwiseFunctions.ClampedGlu((float)op.Alpha, (float)op.Limit, inputs[0].Width));
        AddColumns<Add>((context, op, inputs) => PointwiseFunctions.Add(inputs[0].Width));
        AddRows<Multiply>((context, op, inputs) => inputs[0] == inputs[1] ? PointwiseFunctions.Multiply(inputs[0].Width) : new ScaleRowsFunction(inputs[0].Width));
        AddColumns<Scale>((context, op, inputs) => PointwiseFunctions.Scale((float)op.Factor, inputs[0].Width));
        AddColumns<SoftCap>((context, op, inputs) => PointwiseFunctions.SoftCap((float)op.Cap, inputs[0].Width));
        AddRows<Split>((context, op, inputs) => new SplitGroupsFunction(1, op.Widths));
        AddRows<SplitGroups>((context, op, inputs) => new SplitGroupsFunction(op.Groups, op.Widths));
        AddRows<JoinGroups>((context, op, inputs) => new JoinGroupsFunction(op.Groups, [.. inputs.Select(i => i.Width / op.Groups)]));
        AddRows<SelectRows>((context, op, inputs) => new SelectRowsFunction(inputs[0].Width));
        AddRows<Rope>((context, op, inputs) => new RopeFunction(context, op.Spec));
        AddRows<KvAppend>((context, op, inputs) => new KvAppendFunction(op));
        AddRows<Edit>((context, op, inputs) => new EditFunction(op, inputs[0].Width, inputs[0].Rows));
        AddRows<NormScale>((context, op, inputs) => new NormScaleFunction(op.Spec, inputs[0].Width));
        AddRows<RowStatistics>((context, op, inputs) => new RowStatisticsFunction(context, op, inputs[0].Width, inputs.Length == 2));
        Add<Linear>((context, op, node, value) =>
        {
            var product = Columns(context, new FusedColumns(1, [new FusedPart(op, [0], 1)], [1]), node, value);
            return op.Adapters.IsEmpty ? product : new LinearKernel(context, product, op, node, value);
        });
        Add<FusedColumns>(Columns);
        Add<GroupLinear>((context, op, node, value) => new GroupLinearKernel(context, op, node, value));
        Add<ExpertLinear>((context, op, node, value) => new ExpertLinearKernel(context, op, node, value));
        Add<Pool>((context, op, node, value) => new PoolKernel(context, op.Kind, node, value));
        Add<Attention>((context, op, node, value) => op.Statistics ? new AttentionKernel<WithStatistics>(context, op.Spec, node, value) : new AttentionKernel<WithoutStatistics>(context, op.Spec, node, value));
    }

    /// <summary>Names of all ops that can run here, sorted; fused ones apart.</summary>
    public static IReadOnlyList<string> Names => [.. Kernels.Keys.Concat(Functions.Keys).Where(t => !t.IsSubclassOf(typeof(FusedOp))).Select(t => t.Name).Order(StringComparer.Ordinal)];

    /// <summary>Whether an op can run here, or why not.</summary>
    public static bool Supports(Op op, [NotNullWhen(false)] out string? reason)
    {
        reason = op switch
        {
            FusedRows rows => rows.Parts.FirstOrDefault(p => !Functions.ContainsKey(p.Op.GetType())) is { Op: var part } ? $"{part.Name} does not run row by row" : null,
            FusedColumns columns => columns.Parts.Skip(columns.Products).FirstOrDefault(p => !ColumnTypes.Contains(p.Op.GetType())) is { Op: var part } ? $"{part.Name} does not run column by column" : null,
            _ => Kernels.ContainsKey(op.GetType()) || Functions.ContainsKey(op.GetType()) ? null : $"{op.Name} has no CPU kernel",
        };
        return reason is null;
    }

    /// <summary>Makes the row function of an op for inputs of these types.</summary>
    public static RowFunction Function(KernelContext context, Op op, ImmutableArray<ValueInfo> inputs) => Functions[op.GetType()](context, op, inputs);

    /// <summary>Makes the kernel of a node, by its index.</summary>
    public static CpuKernel Bind(KernelContext context, int index)
    {
        var node = context.Graph.Nodes[index];
        if (Kernels.TryGetValue(node.Op.GetType(), out var create)) return create(context, node, new Value(index));
        return new RowsKernel(context, node, index, (op, inputs) => Function(context, op, inputs));
    }

    private static ColumnsKernel Columns(KernelContext context, FusedColumns op, Node node, Value value) => new(context, node, value.Node, op, (part, inputs) => (ColumnFunction)Functions[part.GetType()](context, part, inputs));

    private static void AddColumns<TOp>(RowFunctionFactory<TOp> create) where TOp : Op
    {
        AddRows(create);
        ColumnTypes.Add(typeof(TOp));
    }

    private static void AddRows<TOp>(RowFunctionFactory<TOp> create) where TOp : Op => Functions.Add(typeof(TOp), (context, op, inputs) => create(context, (TOp)op, inputs));

    private static void Add<TOp>(KernelFactory<TOp> create) where TOp : Op => Kernels.Add(typeof(TOp), (context, node, value) => create(context, (TOp)node.Op, node, value));
}
