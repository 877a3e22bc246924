using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Tests.Support;
using GraphOfOps = Tare.Graphs.Graph;

namespace Tare.Tests.Graphs;

public sealed class VerifierTests
{
    [Fact]
    public void Every_mutation_that_breaks_a_graph_is_killed()
    {
        int killed = 0;
        for (int seed = 0; seed < 3000; seed++)
        {
            var random = new Random(seed);
            var graph = seed % 2 == 0 ? new RandomModel(Seed: seed % 7, Blocks: 1 + seed % 3, Window: seed % 4 == 0 ? 8 : null, KvHeads: seed % 3 == 0 ? 4 : 2).Build() : RandomGraphTests.Build(new Random(seed), seed % 50);
            Verifier.Verify(graph).ShouldBeSameAs(graph);
            if (Mutate(graph, random) is not { } mutant) continue;
            Should.Throw<GraphException>(() => Verifier.Verify(mutant), $"mutation {seed} survived:\n{GraphDump.ToText(mutant)}");
            killed++;
        }
        killed.ShouldBeGreaterThan(1500);
    }

    [Fact]
    public void The_error_names_the_node()
    {
        var graph = new RandomModel(Blocks: 1).Build();
        int at = graph.Nodes.IndexOf(graph.Nodes.First(n => n.Op is Add));
        var broken = Replace(graph, at, graph.Nodes[at] with { Inputs = [graph.Nodes[at].Inputs[0], new Value(at + 1)] });
        Should.Throw<GraphException>(() => Verifier.Verify(broken)).Message.ShouldContain($"%{at} Add: input 1 is %{at + 1}");
    }

    [Fact]
    public void A_norm_with_a_huge_epsilon_must_be_static()
    {
        NormSpec.LayerNorm(1e12).Kind.ShouldBe(NormKind.Static);
        NormSpec.LayerNorm(1e12).Center.ShouldBeTrue();
        NormSpec.RmsNorm(1e6).ShouldBe(new NormSpec(NormKind.Static, 1e6));
        NormSpec.RmsNorm(1e-5).Kind.ShouldBe(NormKind.RmsNorm);
        foreach (var spec in new[] { new NormSpec(NormKind.LayerNorm, 1e12), new NormSpec(NormKind.RmsNorm, -1), new NormSpec(NormKind.RmsNorm, double.NaN), new NormSpec(NormKind.RmsNorm, 1, 2), new NormSpec(NormKind.RmsNorm, 1, 0, 5), new NormSpec(NormKind.Static, 0), new NormSpec(NormKind.LayerNorm, 1, Center: true) })
        {
            var g = new GraphBuilder();
            Should.Throw<GraphException>(() => g.Norm(g.Residual(8), spec), spec.ToString());
        }
    }

    // One change that can't be legal: an input from a later node or of another shape, a wrong type, a lost or doubled cache, a wrong width, a bad output, a hidden state that is none.
    private static GraphOfOps? Mutate(GraphOfOps graph, Random random)
    {
        int at = random.Next(graph.Nodes.Length);
        var node = graph.Nodes[at];
        switch (random.Next(13))
        {
            case 0 when node.Inputs.Length > 0: return Replace(graph, at, node with { Inputs = node.Inputs.SetItem(0, new Value(at + random.Next(3))) });
            case 1 when node.Inputs.Length > 0: return Replace(graph, at, node with { Inputs = node.Inputs.SetItem(0, node.Inputs[0] with { Output = 3 }) });
            case 2: return Replace(graph, at, node with { Outputs = node.Outputs.SetItem(0, node.Outputs[0] with { Width = node.Outputs[0].Width + 1 }) });
            case 3 when node.Inputs.Length > 0: return Replace(graph, at, node with { Inputs = [.. node.Inputs, .. node.Inputs, node.Inputs[0]] });
            case 4 when node.Op is KvAppend append: return Replace(graph, at, node with { Op = append with { KeyWidth = append.KeyWidth + 2 } });
            case 5 when node.Op is Attention attention: return Replace(graph, at, node with { Op = new Attention(attention.Spec with { KvHeads = attention.Spec.Heads + 1 }) });
            case 6: return new GraphOfOps(graph.Nodes, graph.Outputs.Add(graph.Outputs[0]), graph.HiddenStates, graph.Blocks);
            case 7 when !graph.HiddenStates.IsEmpty: return new GraphOfOps(graph.Nodes, graph.Outputs, graph.HiddenStates.SetItem(0, new Value(0)), graph.Blocks);
            case 9 when !graph.HiddenStates.IsEmpty && node.Op is Rope or Activate or Attention: return new GraphOfOps(graph.Nodes, graph.Outputs, graph.HiddenStates.SetItem(0, new Value(at)), graph.Blocks);
            case 10 when node.Op is Norm norm: return Replace(graph, at, node with { Op = norm with { Spec = norm.Spec with { Kind = NormKind.LayerNorm, Epsilon = 1e12 } } });
            case 11 when node.Op is Linear: return Replace(graph, at, node with { Op = new Linear(RandomModel.Matrix(1, "w", node.Outputs[0].Width, graph.TypeOf(node.Inputs[0]).Width + 1)) });
            case 12 when !graph.HiddenStates.IsEmpty: return new GraphOfOps(graph.Nodes, graph.Outputs, graph.HiddenStates.RemoveAt(0), graph.Blocks);
            case 8: return Replace(graph, at, node with { Block = graph.Blocks });
            default:
                int caches = graph.Nodes.Count(n => n.Op is KvAppend);
                if (caches < 2 || node.Op is not KvAppend first) return null;
                return Replace(graph, at, node with { Op = first with { Layer = (first.Layer + 1) % caches } });
        }
    }

    private static GraphOfOps Replace(GraphOfOps graph, int at, Node node) => new(graph.Nodes.SetItem(at, node), graph.Outputs, graph.HiddenStates, graph.Blocks);
}
