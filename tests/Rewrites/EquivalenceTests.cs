using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Diagnostics;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tests.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Rewrites;

/// <summary>Every model whose norms may be rewritten gives the same logits afterwards: to 1e-12 in float64, to 1e-5 on the CPU.</summary>
public sealed class EquivalenceTests
{
    public static TheoryData<string> Models()
    {
        var names = new TheoryData<string>();
        if (SharedData.Conformance("architectures") is string root)
            foreach (string folder in Directory.GetDirectories(root).Order(StringComparer.Ordinal)) names.Add(folder);
        if (SharedData.Conformance("architectures-gguf") is string ggufs)
            foreach (string file in Directory.GetFiles(ggufs, "*.gguf").Order(StringComparer.Ordinal)) names.Add(file);
        names.Add(Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf"));
        return names;
    }

    [ConformanceTheory("architectures")]
    [MemberData(nameof(Models))]
    public void Rewritten_norms_keep_the_logits(string path)
    {
        using var file = ModelFile.Open(path);
        var original = ArchitectureRegistry.Build(file);
        if (!NormVerdict.Of(original).LayerNormToRmsNorm)
        {
            Should.Throw<RewriteRefusedException>(() => NormRewrites.Apply(original, NormTarget.Rms, new RewriteReport()));
            return;
        }
        int vocabulary = original.TypeOf(original.Outputs[0].Value).Width;
        int[] tokens = [.. Enumerable.Range(0, 40).Select(i => (i * 7919 + 11) % Math.Min(vocabulary, 300))];
        using var reference = new ReferenceBackend(2);
        using var cpu = new CpuBackend(2);
        double[] exact = RewriteFixture.Logits(reference, original, tokens), narrow = RewriteFixture.Logits(cpu, original, tokens);
        bool bounded = path.Contains("fable", StringComparison.Ordinal); // one set of options for the real model, whose float64 run takes seconds
        foreach (var (target, options) in Variants(bounded))
        {
            var rewritten = NormRewrites.Apply(original, target, new RewriteReport(), options);
            if (target != NormTarget.Rms) rewritten.Nodes.Count(n => n.Op is Norm { Spec: { Groups: 1, IsCompressed: false } }).ShouldBe(0, $"{target}: norms left as they were");
            rewritten.Nodes.Count(n => n.Op is Norm { Spec: { Groups: 1, SubtractsMean: true } }).ShouldBe(0);
            RewriteFixture.Relative(RewriteFixture.Logits(reference, rewritten, tokens), exact).ShouldBeLessThan(1e-12, $"{target} {options}: float64");
            RewriteFixture.Relative(RewriteFixture.Logits(cpu, rewritten, tokens), narrow).ShouldBeLessThan(1e-5, $"{target} {options}: F32");
        }
    }

    [ConformanceFact("architectures")]
    public void What_is_left_of_the_mean_is_rounding()
    {
        using var file = ModelFile.Open(Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf"));
        var original = ArchitectureRegistry.Build(file);
        var rms = NormRewrites.Apply(original, NormTarget.Rms, new RewriteReport());
        using var cpu = new CpuBackend(2);
        var report = LogitComparison.Compute(cpu, original, rms, [.. Enumerable.Range(0, 64).Select(i => i * 31 % 4000)], null, 64);
        report.StreamAfter!.Max().ShouldBeLessThan(1e-6);
        report.StreamBefore.Max().ShouldBeGreaterThan(1e-4);
        report.Nmse.ShouldBeLessThan(1e-9);
        report.Top1Agreement.ShouldBe(1);
        report.PerplexityAfter.ShouldBe(report.PerplexityBefore, 1e-4 * report.PerplexityBefore);
        LogitComparison.Compute(cpu, original, NormRewrites.Apply(original, NormTarget.Crms, new RewriteReport()), [1, 2, 3], null, 3).StreamAfter.ShouldBeNull();
    }

    [Fact]
    public void Static_norms_disappear_from_the_LN_free_model()
    {
        using var file = ModelFile.Open(Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free"));
        var original = ArchitectureRegistry.Build(file);
        int[] tokens = [.. Enumerable.Range(0, 40).Select(i => i * 31 % 4000)];
        using var cpu = new CpuBackend(2);
        double[] expected = RewriteFixture.Logits(cpu, original, tokens);
        foreach (var target in new[] { NormTarget.Static, NormTarget.None })
        {
            var rewritten = NormRewrites.Apply(original, target, new RewriteReport());
            RewriteFixture.Relative(RewriteFixture.Logits(cpu, rewritten, tokens), expected).ShouldBeLessThan(1e-5, $"{target}");
            rewritten.Nodes.Count(n => n.Op is Norm).ShouldBe(target == NormTarget.None ? 0 : original.Nodes.Count(n => n.Op is Norm));
        }
    }

    private static IEnumerable<(NormTarget, NormRewriteOptions)> Variants(bool bounded)
    {
        yield return (NormTarget.Rms, new());
        yield return (NormTarget.Crms, new());
        yield return (NormTarget.CrmsIsometric, new());
        if (bounded) yield break;
        yield return (NormTarget.Rms, new() { Untie = true, FoldAffine = true });
        yield return (NormTarget.Crms, new() { Drop = -1, Pad = true });
        yield return (NormTarget.CrmsIsometric, new() { Pad = true });
    }
}
