using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Tests.Backends;

/// <summary>Ops of the Reference backend against values worked out by hand, and against formulas written another way.</summary>
public sealed class OperatorTests
{
    [Fact]
    public void Every_op_of_the_graph_has_a_reference_kernel()
        => ReferenceOps.Names.ShouldBe(typeof(Op).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(Op)) && !t.IsSubclassOf(typeof(FusedOp)) && !t.IsAbstract).Select(t => t.Name).Order(StringComparer.Ordinal));

    // 30-digit values of erf.
    [Theory]
    [InlineData(0, 0)]
    [InlineData(0.1, 0.112462916018284892203275071744)]
    [InlineData(0.5, 0.520499877813046537682746653892)]
    [InlineData(1, 0.842700792949714869341220635083)]
    [InlineData(2, 0.995322265018952734162069256367)]
    [InlineData(2.5, 0.999593047982555041060435784260)]
    [InlineData(3, 0.999977909503001414558627223870)]
    public void Erf_is_right_to_the_last_bits(double x, double value)
    {
        ErrorFunction.Erf(x).ShouldBe(value, 4e-16);
        ErrorFunction.Erf(-x).ShouldBe(-value, 4e-16);
    }

    [Theory]
    [InlineData(1, 0.157299207050285130658779364917)]
    [InlineData(3, 2.20904969985854413727761295823e-5)]
    [InlineData(5, 1.53745979442803485018834348538e-12)]
    [InlineData(10, 2.08848758376254475700078629496e-45)]
    public void Erfc_keeps_its_relative_precision_in_the_tail(double x, double value)
    {
        (ErrorFunction.Erfc(x) / value).ShouldBe(1, 1e-14);
        ErrorFunction.Erfc(-x).ShouldBe(2 - value, 4e-16);
    }

    [Fact]
    public void Center_multiply_and_scale_work_element_by_element()
    {
        Run([1, 2, 6], (g, x) => g.Append(new Center(), x)).ShouldBe([-2, -1, 3]);
        Run([1, -2, 3], (g, x) => g.Multiply(x, x)).ShouldBe([1, 4, 9]);
        Run([1, 2, 3, 4, 5, 6], 3, 2, (g, x) =>
        {
            var parts = g.Split(x, 1, 2);
            return g.Multiply(parts[1], parts[0]);
        }).ShouldBe([2, 3, 20, 24]);
        Run([1, -2], (g, x) => g.Scale(x, -0.5)).ShouldBe([-0.5, 1]);
        Run([0, 1e9], (g, x) => g.SoftCap(x, 30)).ShouldBe([0, 30]);
    }

    [Theory]
    [InlineData(PoolKind.Mean, new[] { 2.0, 3, 5, 6 })]
    [InlineData(PoolKind.First, new[] { 1.0, 2, 5, 6 })]
    [InlineData(PoolKind.Last, new[] { 3.0, 4, 5, 6 })]
    public void Pool_gives_one_row_a_sequence(PoolKind kind, double[] expected) => Run([1, 2, 3, 4, 5, 6], 2, [2, 1], (g, x) => g.Append(new Pool(kind), x)).ShouldBe(expected);

    [Fact]
    public void A_sink_takes_its_share_of_the_softmax_and_brings_no_value()
    {
        // One head, keys 0, so every score is 0: n keys and a sink of weight e^s share 1.
        double sink = Math.Log(2);
        double[] rows = Run([3, 9, 6], 1, [3], (g, x) =>
        {
            Value zero = g.Scale(x, 0);
            return g.Append(new Attention(new AttentionSpec(1, 1, 1, 1, 1, AttentionMask.Bidirectional) { Sinks = new ConstantWeight("sink", 1, 1, [(float)sink]) }), zero, zero, x);
        });
        foreach (double row in rows) row.ShouldBe((3 + 9 + 6) / (3 + Math.Exp((float)sink)), 1e-14);
    }

    [Fact]
    public void Group_ops_are_each_others_reverse_and_group_linear_is_block_diagonal()
    {
        double[] x = [1, 2, 3, 4, 5, 6];
        Run(x, (g, v) =>
        {
            var parts = g.AppendAll(new SplitGroups(2, [1, 2]), v); // [1, 4], [2, 3, 5, 6]
            return g.Append(new JoinGroups(2), parts[1], parts[0]);
        }).ShouldBe([2, 3, 1, 5, 6, 4]);
        var weight = new ConstantWeight("w", 2, 3, [1, 1, 1, 10, 20, 30]); // two groups of one row
        Run(x, (g, v) => g.Append(new GroupLinear(weight, 2), v)).ShouldBe([6, 40 + 100 + 180]);
    }

    [Fact]
    public void Router_prefers_the_lower_id_in_ties_and_keeps_to_the_best_groups()
    {
        double[] Ids(double[] logits, RouterSpec spec, Weight? correction = null) => Run(logits, (g, x) =>
        {
            var chosen = g.AppendAll(new Router(spec, correction), x);
            var numbers = new ConstantWeight("numbers", logits.Length, 1, [.. Enumerable.Range(0, logits.Length).Select(i => (float)i)]); // expert i returns i
            return g.Append(new ExpertLinear(numbers, null, logits.Length), g.Append(new Linear(new ConstantWeight("zero", 1, logits.Length, new float[logits.Length]), new ConstantWeight("one", 1, 1, [1])), x), chosen[0]);
        });
        Ids([1, 5, 5, 1], new RouterSpec(4, 3, RouterScore.Softmax, true)).ShouldBe([1, 2, 0]);
        // Groups (0,1) and (2,3): expert 0 is the best alone, but the second group has the better pair.
        Ids([2, -9, 1, 1], new RouterSpec(4, 2, RouterScore.Sigmoid, true, Groups: 2, UsedGroups: 1)).ShouldBe([2, 3]);
        Ids([0, 0, 0, 0], new RouterSpec(4, 1, RouterScore.Sigmoid, true), new ConstantWeight("bias", 1, 4, [0, 0, 1, 0])).ShouldBe([2]);
    }

    private static double[] Run(double[] x, Func<GraphBuilder, Value, Value> op) => Run(x, x.Length, 1, op);

    private static double[] Run(double[] x, int width, int rows, Func<GraphBuilder, Value, Value> op) => Run(x, width, [rows], op);

    private static double[] Run(double[] x, int width, int[] sequences, Func<GraphBuilder, Value, Value> op)
    {
        var g = new GraphBuilder();
        var graph = g.Finish(new GraphOutput("y", op(g, g.Residual(width))));
        using var backend = new ReferenceBackend(1);
        using var store = backend.CreateWeightStore();
        using var program = backend.Compile(graph, store, new ProgramLimits(16, 4, 16));
        var runs = new List<SequenceRows>();
        int row = 0;
        foreach (int rows in sequences)
        {
            runs.Add(new SequenceRows(runs.Count, row, rows, 0, Phase.Prompt, rows));
            row += rows;
        }
        var ticket = program.Enqueue(new Step { Sequences = runs.ToArray(), Residual = Array.ConvertAll(x, v => (float)v) }, []);
        return program.Output<double>(ticket, new OutputId(0)).ToArray();
    }
}
