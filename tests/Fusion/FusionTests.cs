using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Formats;
using Tare.Fusion;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;
using Tare.Models;
using Tare.Rewrites;
using Tare.Synthesis;
using Tare.Tests.Graphs;
using Tare.Tests.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Fusion;

/// <summary>Every pattern of fusion gives the bits of the graph that it was applied to, on graphs of every kind.</summary>
public sealed class FusionTests
{
    /// <summary>Every pattern in the engine, found by reflection.</summary>
    public static TheoryData<string> Patterns() => [.. Names];

    private static IEnumerable<string> Names => typeof(IFusionPattern).Assembly.GetTypes().Where(t => t.IsAssignableTo(typeof(IFusionPattern)) && !t.IsAbstract).Select(t => t.Name).Order(StringComparer.Ordinal);

    [Fact]
    public void Every_pattern_is_applied_and_every_fused_op_has_a_pattern()
    {
        Fuser.Patterns.Select(p => p.GetType().Name).Order(StringComparer.Ordinal).ShouldBe(Names);
        Fuser.Patterns.Select(p => p.Create(1, [new FusedPart(new Scale(2), [0], 1)], [1]).GetType()).Distinct().Count()
            .ShouldBe(typeof(Op).Assembly.GetTypes().Count(t => t.IsSubclassOf(typeof(FusedOp))));
    }

    [Fact]
    public void The_table_of_the_documentation_is_that_of_the_patterns()
    {
        string text = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "docs", "architecture.md"));
        foreach (var pattern in Fuser.Patterns) text.ShouldContain($"| {pattern.Name} | {pattern.Description} |");
    }

    [Theory, MemberData(nameof(Patterns))]
    public void A_pattern_gives_the_same_bits_on_random_graphs(string name)
    {
        var pattern = Find(name);
        int applied = 0;
        for (int seed = 1; seed <= 40; seed++)
        {
            var graph = RandomGraphTests.Build(new Random(seed), seed);
            applied += Compare(graph, [[.. Enumerable.Range(0, 45).Select(i => (i * 7 + seed) % 23)]], pattern, $"seed {seed}", 1 + seed % 3);
        }
        applied.ShouldBeGreaterThan(20);
    }

    [Theory, MemberData(nameof(Patterns))]
    public void A_pattern_gives_the_same_bits_with_quantized_weights(string name)
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("tare-fusion-").FullName, "model.gguf");
        try
        {
            int applied = 0;
            foreach (string shape in new[] { "llama-1b", "gpt2-124m" })
                foreach (var type in new[] { TensorType.Q4_1, TensorType.Q8_0, TensorType.F16 })
                {
                    SyntheticModel.Write(path, SyntheticShape.Known[shape] with { Blocks = 2, Width = 96, Heads = 3, KvHeads = shape == "llama-1b" ? 1 : 3, HeadWidth = 32, Inner = 160, Vocabulary = 307 }, type, 1);
                    using var file = ModelFile.Open(path);
                    applied += Compare(IntegerActivations.Apply(ArchitectureRegistry.Build(file)), [[.. Enumerable.Range(0, 37)], [1, 2, 3]], Find(name), $"{shape} {type}");
                }
            applied.ShouldBeGreaterThan(0);
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(path)!, true);
        }
    }

    [ConformanceTheory("architectures", "architectures-gguf")]
    [MemberData(nameof(ArchitectureCase.All), MemberType = typeof(ArchitectureCase))]
    public void All_patterns_give_the_same_bits_on_every_architecture_with_and_without_hidden_states(ArchitectureCase c)
    {
        using var model = c.Open();
        if (!ArchitectureCase.IsRegistered(model)) return;
        var graph = ArchitectureRegistry.Build(model);
        using var expected = ModelFile.Open(c.ExpectedPath);
        foreach (var variant in new[] { graph, ArchitectureCase.WithHiddenStates(graph), IntegerActivations.Apply(graph) })
            Compare(variant, ArchitectureCase.Tokens(expected), null, c.Name).ShouldBeGreaterThan(0);
    }

    [Fact]
    public void Any_value_within_a_fused_op_can_be_an_output_and_has_the_same_bits()
    {
        for (int seed = 1; seed <= 8; seed++)
        {
            var graph = RandomGraphTests.Build(new Random(seed), seed);
            var all = graph.WithOutputs(graph.Outputs.Concat(Enumerable.Range(0, graph.Nodes.Length).SelectMany(i => graph.Nodes[i].Outputs.Select((t, k) => (Type: t, Value: new Value(i, k))))
                .Where(v => v.Type.Element == ElementType.F32).Select(v => new GraphOutput($"value {v.Value}", v.Value))));
            Compare(all, [[.. Enumerable.Range(0, 19)]], null, $"seed {seed}").ShouldBeGreaterThan(0);
        }
    }

    [Fact]
    public void A_fused_graph_unfuses_to_the_ops_that_it_was_made_of()
    {
        for (int seed = 1; seed <= 20; seed++)
        {
            var graph = RandomGraphTests.Build(new Random(seed), seed);
            var parts = Unfused.Of(Fuser.Apply(graph, Cpu));
            parts.Nodes.Select(n => n.Op.GetHashCode()).Order().ShouldBe(graph.Nodes.Select(n => n.Op.GetHashCode()).Order());
            int[] ids = [1, 2, 3, 4, 5];
            using var reference = new ReferenceBackend(1);
            WholeSequences.Run<double>(reference, parts, ids)["y"].ShouldBe(WholeSequences.Run<double>(reference, graph, ids)["y"]);
        }
    }

    [Fact]
    public void A_backend_without_fused_ops_gets_the_graph_as_it_is()
    {
        using var reference = new ReferenceBackend(1);
        var graph = new RandomModel().Build();
        Fuser.Apply(graph, op => reference.Supports(op, out _)).ShouldBeSameAs(graph);
    }

    [Fact]
    public void A_decoder_block_becomes_nine_kernels()
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("tare-fusion-").FullName, "model.gguf");
        try
        {
            SyntheticModel.Write(path, SyntheticShape.Known["llama-1b"] with { Blocks = 3, Width = 64, Heads = 2, KvHeads = 1, HeadWidth = 32, Inner = 96, Vocabulary = 67 }, TensorType.Q4_1, 1);
            using var file = ModelFile.Open(path);
            var fused = Fuser.Apply(IntegerActivations.Apply(ArchitectureRegistry.Build(file)), Cpu);
            string Kernels(int block) => string.Join('\n', fused.Nodes.Where(n => n.Block == block).Select(n => n.Op is FusedOp op ? string.Join('+', op.Parts.Select(p => p.Op.Name)) : n.Op.Name));
            Kernels(1).ShouldBe("""
                Linear+Linear+Linear
                Rope+Rope+KvAppend
                Attention
                QuantizeRows
                Linear
                Add+Norm+QuantizeRows
                Linear+Linear+GatedActivate+QuantizeRows
                Linear
                Add+Norm+QuantizeRows
                """.ReplaceLineEndings("\n"));
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(path)!, true);
        }
    }

    [Fact]
    public void The_verifier_kills_mutated_fused_ops()
    {
        var graph = Fuser.Apply(new RandomModel().Build(), Cpu);
        int mutated = 0;
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            if (graph.Nodes[i].Op is not FusedOp fused) continue;
            foreach (FusedOp broken in new[]
            {
                fused with { Results = fused.Results.SetItem(0, 0) },
                fused with { Results = fused.Results.Add(fused.Results[0]) },
                fused with { InputCount = fused.InputCount + 1 },
                fused with { Parts = fused.Parts.SetItem(0, fused.Parts[0] with { Inputs = [99] }) },
                fused with { Parts = fused.Parts.SetItem(0, fused.Parts[0] with { Outputs = 3 }) },
                fused with { Parts = fused.Parts.SetItem(0, fused.Parts[0] with { Op = new Pool(PoolKind.Mean) }) },
                new FusedColumns(fused.InputCount, [.. fused.Parts.Reverse()], fused.Results),
            })
            {
                var nodes = graph.Nodes.SetItem(i, graph.Nodes[i] with { Op = broken });
                Should.Throw<GraphException>(() => Verifier.Verify(new Graph(nodes, graph.Outputs, [], graph.Blocks)), $"{fused.Name} → {broken.Name} {broken.Attributes}");
                mutated++;
            }
        }
        mutated.ShouldBeGreaterThan(50);
    }

    private static bool Cpu(Op op)
    {
        using var backend = new CpuBackend(1);
        return backend.Supports(op, out _);
    }

    private static IFusionPattern Find(string name) => Fuser.Patterns.Single(p => p.GetType().Name == name);

    // How many nodes less; pattern null = all of them, by the backend itself.
    private static int Compare(Graph graph, int[][] ids, IFusionPattern? pattern, string what, int threads = 2)
    {
        using CpuBackend plain = new(1) { Fuses = false }, fusing = new(threads) { Fuses = pattern is null };
        var fused = pattern is null ? graph : Fuser.Apply(graph, pattern, op => plain.Supports(op, out _));
        var expected = WholeSequences.Run<float>(plain, graph, ids);
        var actual = WholeSequences.Run<float>(fusing, fused, ids);
        foreach (var output in graph.Outputs) actual[output.Name].ShouldBe(expected[output.Name], $"{what}, {output.Name}");
        return graph.Nodes.Length - (pattern is null ? Fuser.Apply(graph, op => plain.Supports(op, out _)) : fused).Nodes.Length;
    }
}
