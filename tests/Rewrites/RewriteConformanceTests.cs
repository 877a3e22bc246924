using System.Text.Json;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tests.Support;

namespace Tare.Tests.Rewrites;

/// <summary>The rewrites of <c>conformance/rewrites</c>: weights, logits, the stream at the end, verdicts – and errors that must show.</summary>
public sealed class RewriteConformanceTests
{
    public static TheoryData<string> Checkpoints()
    {
        var names = new TheoryData<string>();
        if (SharedData.Conformance("rewrites") is null) return ["none"];
        using var fixture = new RewriteFixture();
        foreach (var model in fixture.Json.GetProperty("models").EnumerateArray()) names.Add(model.GetProperty("checkpoint").GetString()!);
        return names;
    }

    public static TheoryData<string> Verdicts()
    {
        var names = new TheoryData<string>();
        if (SharedData.Conformance("rewrites") is null) return ["none"];
        using var fixture = new RewriteFixture();
        foreach (var verdict in fixture.Json.GetProperty("verdicts").EnumerateObject()) names.Add(verdict.Name);
        return names;
    }

    [ConformanceTheory("rewrites", "architectures")]
    [MemberData(nameof(Checkpoints))]
    public void Each_step_gives_the_weights_the_logits_and_the_stream_of_the_reference(string checkpoint)
    {
        using var fixture = new RewriteFixture();
        var model = fixture.Json.GetProperty("models").EnumerateArray().First(m => m.GetProperty("checkpoint").GetString() == checkpoint);
        using var file = ModelFile.Open(RewriteFixture.Checkpoint(checkpoint));
        var original = ArchitectureRegistry.Build(file);
        using var backend = new ReferenceBackend(2);
        // Transformers' own constants (a shortened √(2/π) in BLOOM's GELU) are part of the reference, so the original's distance from it is allowed to the others.
        double[] own = RewriteFixture.Logits(backend, original, RewriteFixture.Tokens(model));
        double limit = Math.Max(1e-12, 2 * RewriteFixture.Relative(own, fixture.Tensor(model.GetProperty("steps")[0].GetProperty("logits").GetString()!)));
        limit.ShouldBeLessThan(1e-9);
        foreach (var step in model.GetProperty("steps").EnumerateArray())
        {
            string name = step.GetProperty("step").GetString()!;
            var graph = Step(original, name);
            RewriteFixture.Relative(RewriteFixture.Logits(backend, graph, RewriteFixture.Tokens(model)), fixture.Tensor(step.GetProperty("logits").GetString()!)).ShouldBeLessThan(limit, $"{checkpoint} {name}: logits");
            RewriteFixture.Relative(RewriteFixture.Logits(backend, graph, RewriteFixture.Tokens(model)), own).ShouldBeLessThan(1e-12, $"{checkpoint} {name}: logits before and after");
            CompareStream(fixture, model, step, graph, backend, limit);
            foreach (var weight in step.GetProperty("weights").EnumerateArray()) CompareWeight(fixture, weight.GetString()!, graph, file);
        }
        int index = model.GetProperty("least_harmful_drop").GetProperty("index").GetInt32();
        var folded = Step(original, "folded");
        RmsNormToCompressed.LeastHarmful(folded).ShouldBe(index);
        RewriteFixture.Relative(RmsNormToCompressed.ColumnCosts(folded), [.. model.GetProperty("least_harmful_drop").GetProperty("column_costs").EnumerateArray().Select(c => c.GetDouble())]).ShouldBeLessThan(1e-6);
        var least = NormRewrites.Apply(original, NormTarget.Crms, new RewriteReport());
        RewriteFixture.Relative(RewriteFixture.Logits(backend, least, RewriteFixture.Tokens(model)), own).ShouldBeLessThan(1e-12);
    }

    [ConformanceTheory("rewrites", "architectures")]
    [MemberData(nameof(Verdicts))]
    public void The_analysis_reaches_the_verdict_of_each_architecture(string name)
    {
        using var fixture = new RewriteFixture();
        var expected = fixture.Json.GetProperty("verdicts").GetProperty(name);
        using var file = ModelFile.Open(RewriteFixture.Checkpoint(name));
        var graph = ArchitectureRegistry.Build(file);
        var verdict = NormVerdict.Of(graph);
        verdict.LayerNormToRmsNorm.ShouldBe(expected.GetProperty("ln_to_rms").GetBoolean(), verdict.ToString());
        verdict.RmsNormToCompressed.ShouldBe(expected.GetProperty("rms_to_crms").GetBoolean(), verdict.ToString());
        if (verdict.LayerNormToRmsNorm) return;
        verdict.Node.ShouldNotBeEmpty();
        verdict.Reason.ShouldNotBeEmpty();
    }

    [ConformanceFact("architectures")]
    public void The_verdicts_in_the_documentation_are_those_of_the_analysis()
    {
        string text = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "docs", "norms.md"));
        text.ShouldContain(NormVerdict.MarkdownHeader);
        foreach (string folder in Directory.GetDirectories(SharedData.Conformance("architectures")!))
        {
            if (!text.Contains($"| {Path.GetFileName(folder)} |")) continue;
            using var file = ModelFile.Open(folder);
            text.ShouldContain(NormVerdict.Of(ArchitectureRegistry.Build(file)).MarkdownRow(Path.GetFileName(folder)));
        }
    }

    [ConformanceTheory("rewrites", "architectures")]
    [MemberData(nameof(Checkpoints))]
    public void Errors_that_a_proof_must_not_accept_show(string checkpoint)
    {
        using var fixture = new RewriteFixture();
        var model = fixture.Json.GetProperty("models").EnumerateArray().First(m => m.GetProperty("checkpoint").GetString() == checkpoint);
        using var file = ModelFile.Open(RewriteFixture.Checkpoint(checkpoint));
        var original = ArchitectureRegistry.Build(file);
        var rms = NormRewrites.Apply(original, NormTarget.Rms, new RewriteReport(), new NormRewriteOptions { Untie = true });
        using var backend = new ReferenceBackend(2);
        // The reference took its errors over all sequences of the checkpoint, not only the first.
        using var all = ModelFile.Open(Path.Combine(RewriteFixture.Checkpoint(checkpoint), "expected.safetensors"));
        all.TryGetTensor("input_ids", out var ids).ShouldBeTrue();
        var tokens = new double[ids!.ElementCount];
        ids.ReadRows(0, (int)ids.RowCount, tokens);
        int[][] sequences = [.. tokens.Select(t => (int)t).Chunk(ids.Width)];
        double[] Logits(Graph graph) => [.. sequences.SelectMany(sequence => RewriteFixture.Logits(backend, graph, sequence))];
        double[] expected = Logits(original);
        foreach (var control in model.GetProperty("negative_controls").EnumerateObject())
            RewriteFixture.Relative(Logits(Wrong(control.Name, original, rms)), expected).ShouldBe(control.Value.GetDouble(), 1e-6 * control.Value.GetDouble(), $"{checkpoint}: {control.Name}");
    }

    [ConformanceFact("rewrites", "architectures")]
    public void Static_norms_keep_their_logits_and_can_disappear()
    {
        using var fixture = new RewriteFixture();
        var free = fixture.Json.GetProperty("ln_free");
        using var file = ModelFile.Open(RewriteFixture.Checkpoint(free.GetProperty("base_checkpoint").GetString()!));
        using var backend = new ReferenceBackend(2);
        int[] tokens = RewriteFixture.Tokens(free);
        foreach (string dialect in new[] { "scaled", "folded" })
        {
            var graph = LnFree(ArchitectureRegistry.Build(file), fixture, dialect);
            double[] expected = fixture.Tensor($"lnfree.{dialect}.logits");
            RewriteFixture.Relative(RewriteFixture.Logits(backend, graph, tokens), expected).ShouldBeLessThan(1e-12, dialect);
            foreach (var target in new[] { NormTarget.Static, NormTarget.None })
            {
                var rewritten = NormRewrites.Apply(graph, target, new RewriteReport());
                RewriteFixture.Relative(RewriteFixture.Logits(backend, rewritten, tokens), expected).ShouldBeLessThan(1e-12, $"{dialect} {target}");
                rewritten.Nodes.Count(n => n.Op is Norm { Spec.SubtractsMean: true }).ShouldBe(0);
                if (target == NormTarget.None) rewritten.Nodes.Count(n => n.Op is Norm).ShouldBe(0);
                if (target != NormTarget.None || dialect != "scaled") continue;
                foreach (var weight in free.GetProperty("steps").EnumerateArray().First(s => s.GetProperty("step").GetString() == "no-norm").GetProperty("weights").EnumerateArray())
                    CompareWeight(fixture, weight.GetString()!, rewritten, file);
            }
        }
        var literal = ArchitectureRegistry.Build(file);
        Should.Throw<RewriteRefusedException>(() => NormRewrites.Apply(literal, NormTarget.None, new RewriteReport())).Reason.ShouldContain("scales each row by its own size");
    }

    private static Graph Step(Graph graph, string name)
    {
        var options = new NormRewriteOptions { Untie = true, FoldAffine = name != "rms", Drop = -1 };
        return name switch
        {
            "original" => graph,
            "rms" or "folded" => NormRewrites.Apply(graph, NormTarget.Rms, new RewriteReport(), options),
            "crms" => NormRewrites.Apply(graph, NormTarget.Crms, new RewriteReport(), options),
            "isometric" => NormRewrites.Apply(graph, NormTarget.CrmsIsometric, new RewriteReport(), options),
            _ => throw new InvalidOperationException($"step '{name}' is not known"),
        };
    }

    private static void CompareStream(RewriteFixture fixture, JsonElement model, JsonElement step, Graph graph, ReferenceBackend backend, double limit)
    {
        // What the final norm of all rows reads.
        var stream = graph.Nodes[graph.HiddenStates[^1].Node].Inputs[0];
        int width = graph.TypeOf(stream).Width;
        width.ShouldBe(step.GetProperty("residual_width").GetInt32());
        int[] tokens = RewriteFixture.Tokens(model);
        double[] rows = WholeSequences.Run<double>(backend, graph.WithOutputs([new GraphOutput("stream", stream)]), tokens)["stream"];
        double[] picked = [.. new[] { 0, 5, tokens.Length - 1 }.SelectMany(r => rows.Skip(r * width).Take(width))];
        RewriteFixture.Relative(picked, fixture.Tensor(step.GetProperty("resid_final").GetString()!)).ShouldBeLessThan(limit, $"{step.GetProperty("step")}: stream");
    }

    private static void CompareWeight(RewriteFixture fixture, string name, Graph graph, ModelFile file)
    {
        string checkpoint = Path.GetFileName(file.Path);
        string[] parts = name.Split('.');
        Weight actual;
        if (name.Contains(".block1."))
        {
            var attention = graph.Nodes.Select(n => n.Op).OfType<Attention>().First().Spec;
            var (weight, bias) = RewriteFixture.Products(graph, 1, interleaved: checkpoint is "bloom" || checkpoint.StartsWith("gpt-neox", StringComparison.Ordinal), attention.Heads)[parts[^2]];
            actual = parts[^1] == "bias" ? bias! : weight;
        }
        else if (parts[^2] == "head")
        {
            var head = graph.Nodes.Select(n => n.Op).OfType<Linear>().Last();
            actual = parts[^1] == "bias" ? head.Bias! : new SliceWeight(head.Weight, 0, 16);
        }
        else
        {
            var tables = graph.Nodes.Where(n => n.Op is Embed).Select(n => (Tokens: graph.OpOf(n.Inputs[0]) is Input { Kind: InputKind.Tokens }, ((Embed)n.Op).Table));
            actual = new SliceWeight(tables.First(t => t.Tokens == (parts[^2] == "embed")).Table, 0, 16);
        }
        double[] expected = fixture.Tensor(name);
        RewriteFixture.Relative([.. actual.ToWideVector().Take(expected.Length)], expected).ShouldBeLessThan(1e-6, name);
    }

    private static Graph Wrong(string control, Graph original, Graph rms)
    {
        Graph Change(Graph graph, Func<int, Op, Op> change) => GraphRebuild.WithOps(graph, Enumerable.Range(0, graph.Nodes.Length).ToDictionary(i => i, i => change(i, graph.Nodes[i].Op)));
        return control switch
        {
            // Those of the blocks and the last one; BLOOM's norm of the embeddings is none of them.
            "norm-swapped-without-centring" => Change(original, (i, op) => op is Norm norm && (original.Nodes[i].Block >= 0 || original.Nodes.Skip(i + 1).All(n => n.Op is not Norm)) ? norm with { Spec = StreamCentering.WithoutMean(norm.Spec) } : op),
            "head-centred-like-a-tied-table" => Change(rms, (i, op) => op is Linear head && i == rms.Nodes.Length - 1 ? head with { Weight = new MapInputWeight(head.Weight, new RankOneMap(RankOneKind.Center, head.Weight.Width)) } : op),
            "writers-centred-on-the-input-axis" => Change(rms, (_, op) => op is Linear { Weight: MapOutputWeight { Map.Kind: RankOneKind.Center } w } linear ? linear with { Weight = new MapInputWeight(w.Source, w.Map with { Width = w.Width }) } : op),
            "biases-not-centred" => Change(rms, (_, op) => op is Linear { Bias: MapInputWeight { Map.Kind: RankOneKind.Center } b } linear ? linear with { Bias = b.Source } : op),
            _ => throw new InvalidOperationException($"negative control '{control}' is not known"),
        };
    }

    // The LN-free dialects: gains replaced and ε = 10¹²; 'folded' also has other first products.
    private static Graph LnFree(Graph graph, RewriteFixture fixture, string dialect)
    {
        Weight Vector(string name) => fixture.Has(name) ? Constant(name, 1) : throw new InvalidOperationException(name);
        Weight Constant(string name, int rows)
        {
            double[] values = fixture.Tensor(name);
            return new ConstantWeight(name, rows, values.Length / rows, Array.ConvertAll(values, v => (float)v));
        }
        var ops = new Dictionary<int, Op>();
        for (int i = 0; i < graph.Nodes.Length; i++)
        {
            var node = graph.Nodes[i];
            bool mlp = graph.Nodes.Take(i).Count(n => n.Block == node.Block && n.Op is Norm) == 1;
            string site = node.Block < 0 ? "ln_f" : $"h.{node.Block}.{(mlp ? "ln_2" : "ln_1")}";
            if (node.Op is Norm norm)
                ops[i] = norm with { Spec = NormSpec.LayerNorm(1e12), Gain = dialect == "folded" && node.Block >= 0 ? new UniformWeight(1, 64, 1e6) : Vector($"lnfree.scaled.{site}.weight"), Bias = dialect == "folded" && node.Block >= 0 ? null : norm.Bias };
            if (dialect != "folded" || node.Op is not Linear linear || graph.OpOf(node.Inputs[0]) is not Norm || node.Block < 0) continue;
            string product = $"lnfree.folded.h.{node.Block}.{(linear.Weight.Rows == 3 * linear.Weight.Width ? "attn.c_attn" : "mlp.c_fc")}";
            ops[i] = linear with { Weight = new TransposeWeight(Constant($"{product}.weight", linear.Weight.Width)), Bias = Constant($"{product}.bias", 1) };
        }
        return GraphRebuild.WithOps(graph, ops);
    }
}
