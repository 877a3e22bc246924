using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Conversion;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Models;
using Tare.Rewrites;
using Tare.Synthesis;
using Tare.Tests.Rewrites;
using Tare.Tests.Support;

namespace Tare.Tests.Models;

/// <summary>Research checkpoints: a norm section selects operators and placements; the CPU gives what Reference gives, whole or in chunks; rewrites that apply keep the logits.</summary>
public sealed class NormSectionTests : IDisposable
{
    private static readonly int[] Tokens = [.. Enumerable.Range(0, 37).Select(i => i * 37 % 300)];
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-section-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    public static TheoryData<string> Sections()
    {
        var sections = new TheoryData<string>();
        foreach (string kind in SyntheticNorms.Kinds) sections.Add(kind);
        foreach (string section in new[]
        {
            """{"kind": "layernorm", "placement": "post"}""", """{"kind": "rms", "placement": "sandwich", "gain_offset": 1}""", """{"kind": "rms", "placement": "parallel"}""", """{"kind": "rms", "post_layers": 1}""",
            """{"kind": "rms", "qk": {"kind": "rms"}, "v": {"kind": "rms"}}""", """{"kind": "none", "qk": {"kind": "layernorm"}, "v": {"kind": "unit-length"}}""", """{"kind": "rms", "qk": {"kind": "rms", "width": "full", "after_rope": true}}""",
            """{"kind": "rms", "residual": "attention"}""", """{"kind": "bhyt", "final": "rms", "kappa": 5}""", """{"kind": "powernorm", "groups": 4}""",
        }) sections.Add(section);
        return sections;
    }

    [Theory]
    [MemberData(nameof(Sections))]
    public void A_section_runs_without_code(string section)
    {
        foreach (string architecture in new[] { "llama", "gpt2" })
        {
            using var file = Model(architecture, section);
            var graph = ArchitectureRegistry.Build(file);
            using var reference = new ReferenceBackend(2);
            using var cpu = new CpuBackend(2);
            float[] expected = WholeSequences.Run<float>(reference, graph, Tokens)[GraphBuilder.LogitsOutput], actual = WholeSequences.Run<float>(cpu, graph, Tokens)[GraphBuilder.LogitsOutput];
            Nmse.WorstRow(actual, expected, graph.TypeOf(graph.Outputs[0].Value).Width).ShouldBeLessThan(1e-8, section);
            WholeSequences.RunChunked<float>(cpu, graph, Tokens, 5)[GraphBuilder.LogitsOutput].ShouldBe(actual, section);
            double[] exact = RewriteFixture.Logits(reference, graph, Tokens);
            foreach (IRewrite pass in new IRewrite[] { new FoldAffine(), new LayerNormScalingFold(), new StaticFold(), new StaticAffineFold(), new QkCenter() })
                RewriteFixture.Relative(RewriteFixture.Logits(reference, pass.Apply(graph, new RewriteReport()), Tokens), exact).ShouldBeLessThan(1e-12, $"{section} {pass.Name}");
            string path = Path.Combine(_folder, "written.gguf");
            GraphFile.Write(file, graph, path);
            using var written = ModelFile.Open(path);
            RewriteFixture.Logits(cpu, ArchitectureRegistry.Build(written), Tokens).ShouldBe(Array.ConvertAll(actual, v => (double)v), section);
        }
    }

    [Fact]
    public void Sections_do_what_they_say()
    {
        Norms("llama", """{"kind": "dyt"}""").ShouldAllBe(n => n.Spec.Kind == NormKind.DynamicTanh);
        Norms("llama", "single-scale").ShouldAllBe(n => n.Gain is Tare.Graphs.Weights.BroadcastWeight);
        Norms("llama", "layer-scaling").Select(n => Math.Round(1 / (n.Spec.OutputScale * n.Spec.OutputScale))).Take(4).ShouldBe([1, 1, 2, 2]);
        Norms("gpt2", "bhyt-block").Count(n => n.ExtraVariance is not null).ShouldBe(2);
        Norms("llama", """{"placement": "sandwich"}""").Count.ShouldBe(Norms("llama", "rms").Count + 4);
        using var file = Model("llama", "three-phase");
        var graph = ArchitectureRegistry.Build(file);
        var folded = new RotationFold().Apply(new FoldAffine().Apply(graph, new RewriteReport()), new RewriteReport());
        folded.Nodes.Count(n => n.Op is RotatePairs).ShouldBe(0);
        using var reference = new ReferenceBackend(2);
        RewriteFixture.Relative(RewriteFixture.Logits(reference, folded, Tokens), RewriteFixture.Logits(reference, graph, Tokens)).ShouldBeLessThan(1e-12);
    }

    [Theory]
    [InlineData("""{"kind": "wonder"}""", "norm.kind: wonder is not known (known: layernorm")]
    [InlineData("""{"wonder": 1}""", "member 'wonder' is not known")]
    [InlineData("""{"kind": "rms", "kappa": -1}""", null)]
    [InlineData("""{"kind": "bhyt", "kappa": -1}""", "norm.kappa: -1 is not a number between")]
    [InlineData("""{"kind": "rms", "groups": 7}""", "7 groups don't divide width 48")]
    [InlineData("""{"residual": "attention", "placement": "post"}""", "stands with placement pre only")]
    public void A_bad_section_is_refused_with_its_member(string section, string? says)
    {
        using var file = Model("llama", section);
        if (says is null) ArchitectureRegistry.Build(file);
        else Should.Throw<ModelFileException>(() => ArchitectureRegistry.Build(file)).Message.ShouldContain(says);
    }

    private List<Norm> Norms(string architecture, string section)
    {
        using var file = Model(architecture, section);
        var graph = ArchitectureRegistry.Build(file);
        return [.. graph.WithOutputs(graph.Outputs).Nodes.Select(n => n.Op).OfType<Norm>()];
    }

    private ModelFile Model(string architecture, string section)
    {
        string path = Path.Combine(_folder, $"{Guid.NewGuid():n}.gguf");
        SyntheticModel.Write(path, new SyntheticShape(architecture, 2, 48, 4, architecture == "gpt2" ? 4 : 2, 12, 40, 300, 64, false) { Norm = SyntheticNorms.Section(section) }, TensorType.F32, 5);
        return ModelFile.Open(path);
    }
}
