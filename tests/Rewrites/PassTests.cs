using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;
using Tare.Rewrites;
using Tare.Tests.Support;

namespace Tare.Tests.Rewrites;

/// <summary>Passes that no model of the reference data needs, on small graphs: the logits stay, and what must be refused is refused.</summary>
public sealed class PassTests
{
    private static readonly int[] Tokens = [3, 1, 4, 1, 5, 9, 2, 6];

    [Fact]
    public void LayerNorm_scaling_moves_into_the_gain()
    {
        var graph = Decoder((g, x, site) => g.Norm(x, NormSpec.RmsNorm(1e-5, gainOffset: 1) with { OutputScale = 1 / Math.Sqrt(site + 1) }, site % 2 == 0 ? new(W($"gain{site}", 1, 24)) : default));
        var folded = new LayerNormScalingFold().Apply(graph, new RewriteReport());
        folded.Nodes.Select(n => n.Op).OfType<Norm>().ShouldAllBe(n => n.Spec.OutputScale.Equals(1.0));
        Same(graph, folded);
        Same(graph, new FoldAffine().Apply(graph, new RewriteReport()));
    }

    [Fact]
    public void Static_affine_norms_disappear()
    {
        var graph = Decoder((g, x, site) => g.Norm(x, new NormSpec(NormKind.Static, 1), new(new StatisticsGainWeight(W($"gain{site}", 1, 24), Positive($"variance{site}"), 1e-5, W("eta", 1, 1)),
            new StatisticsBiasWeight(W($"bias{site}", 1, 24), W($"gain{site}", 1, 24), W($"mean{site}", 1, 24), Positive($"variance{site}"), 1e-5))));
        var folded = NormRewrites.Apply(graph, NormTarget.None, new RewriteReport());
        folded.Nodes.Count(n => n.Op is Norm).ShouldBe(0);
        Same(graph, folded);
    }

    [Fact]
    public void Gains_around_tanh_fold_and_dynamic_ones_stay()
    {
        var tanh = Decoder((g, x, site) => g.Append(new Norm(new NormSpec(site % 2 == 0 ? NormKind.DynamicTanh : NormKind.BoundedTanh, 1e-6) { Bound = site % 2 == 0 ? 0 : 10 }, W($"gain{site}", 1, 24), W($"bias{site}", 1, 24)) { Alpha = W($"alpha{site}", 1, 1) }, x));
        var folded = new FoldAffine().Apply(tanh, new RewriteReport());
        folded.Nodes.Select(n => n.Op).OfType<Norm>().ShouldAllBe(n => n.Gain == null && n.Bias == null);
        Same(tanh, folded);
        var dynamic = Decoder((g, x, site) => g.Append(new Norm(new NormSpec(NormKind.DynamicGain, 1e-6), W($"gain{site}", 1, 24), null) { Alpha = W($"alpha{site}", 1, 24), Direction = W($"direction{site}", 1, 24) }, x));
        new FoldAffine().Apply(dynamic, new RewriteReport()).Nodes.ShouldBe(dynamic.Nodes);
    }

    [Fact]
    public void Rotations_between_blocks_move_into_the_weights()
    {
        var graph = Decoder((g, x, site) => g.Norm(x, NormSpec.RmsNorm(1e-6, groups: 3), new(W($"gain{site}", 1, 24))), (g, x, block) => g.Append(new RotatePairs(W($"angles{block}", 1, 12)), x));
        Should.Throw<RewriteRefusedException>(() => new RotationFold().Apply(graph, new RewriteReport())).Reason.ShouldContain("fold the gain first");
        var folded = new RotationFold().Apply(new FoldAffine().Apply(graph, new RewriteReport()), new RewriteReport());
        folded.Nodes.Count(n => n.Op is RotatePairs).ShouldBe(0);
        Same(graph, folded);
    }

    [Fact]
    public void Heads_lose_their_means_in_a_fused_product_too()
    {
        var g = new GraphBuilder();
        Value x = g.Embed(W("embed", 31, 24));
        var parts = g.Split(g.Linear(x, W("qkv", 40, 24), W("qkv.bias", 1, 40)), 16, 24);
        Value q = g.Norm(parts[0], NormSpec.LayerNorm(1e-5, groups: 4), new(W("gain", 1, 4), W("bias", 1, 4)));
        var graph = g.Finish(new GraphOutput(GraphBuilder.LogitsOutput, g.Linear(g.Append(new JoinGroups(1), q, parts[1]), W("head", 31, 40))));
        var centered = new QkCenter().Apply(graph, new RewriteReport());
        centered.Nodes.Select(n => n.Op).OfType<Norm>().Single().Spec.Kind.ShouldBe(NormKind.RmsNorm);
        Same(graph, centered);
    }

    [Fact]
    public void A_stream_that_something_else_reads_is_refused_with_the_node()
    {
        var graph = Decoder((g, x, site) => g.Norm(x, NormSpec.LayerNorm(1e-5)), (g, x, block) => block == 1 ? g.Add(x, g.Linear(x, W("raw", 24, 24))) : x);
        var refusal = Should.Throw<RewriteRefusedException>(() => new LayerNormToRmsNorm().Apply(graph, new RewriteReport()));
        refusal.Node.ShouldContain("Linear raw");
        refusal.Reason.ShouldContain("without a norm");
        var capped = Decoder((g, x, site) => g.Norm(x, NormSpec.LayerNorm(1e-5)), (g, x, block) => g.SoftCap(x, 5));
        Should.Throw<RewriteRefusedException>(() => new LayerNormToRmsNorm().Apply(capped, new RewriteReport())).Node.ShouldContain("SoftCap");
        var rms = Decoder((g, x, site) => g.Norm(x, NormSpec.RmsNorm(1e-5)));
        Should.Throw<RewriteRefusedException>(() => new RmsNormToCompressed().Apply(rms, new RewriteReport())).Reason.ShouldContain("writes a mean");
    }

    private static Graph Decoder(Func<GraphBuilder, Value, int, Value> norm, Func<GraphBuilder, Value, int, Value>? between = null)
    {
        var g = new GraphBuilder();
        Value x = g.Embed(W("embed", 31, 24));
        int site = 0;
        for (int i = 0; i < 3; i++)
        {
            using var _ = g.Block(x);
            Value n = norm(g, x, site++);
            Value a = g.Attention(g.Linear(n, W($"{i}.q", 24, 24)), g.Linear(n, W($"{i}.k", 24, 24)), g.Linear(n, W($"{i}.v", 24, 24)), new AttentionSpec(4, 4, 6, 6, 0.4));
            x = g.Add(x, g.Linear(a, W($"{i}.o", 24, 24), W($"{i}.o.bias", 1, 24)));
            if (between is not null) x = between(g, x, i);
            x = g.Add(x, g.Linear(g.Activate(g.Linear(norm(g, x, site++), W($"{i}.up", 33, 24)), ActivationKind.GeluErf), W($"{i}.down", 24, 33)));
        }
        int last = site;
        return g.Finish(x, v => norm(g, v, last), v => g.Linear(v, W("head", 31, 24)));
    }

    private static ConstantWeight W(string name, int rows, int width) => Weights.GetOrAdd($"{name} {rows} {width}", _ => RandomModel.Matrix(5, name, rows, width, 2));

    private static ConstantWeight Positive(string name) => Weights.GetOrAdd(name, _ => new ConstantWeight(name, 1, 24, [.. RandomModel.Matrix(5, name, 1, 24, 2).ToVector().Select(v => 0.5f + v * v)]));

    private static readonly System.Collections.Concurrent.ConcurrentDictionary<string, ConstantWeight> Weights = new();

    private static void Same(Graph before, Graph after)
    {
        using var reference = new ReferenceBackend(2);
        RewriteFixture.Relative(RewriteFixture.Logits(reference, after, Tokens), RewriteFixture.Logits(reference, before, Tokens)).ShouldBeLessThan(1e-12);
        using var cpu = new CpuBackend(2);
        RewriteFixture.Relative(RewriteFixture.Logits(cpu, after, Tokens), RewriteFixture.Logits(cpu, before, Tokens)).ShouldBeLessThan(1e-5);
    }
}
