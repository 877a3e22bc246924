using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Conversion;
using Tare.Diagnostics;
using Tare.Formats;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tests.Support;
using Tare.Tokenizers;

namespace Tare.Tests.Diagnostics;

public sealed class DivergenceTests : IDisposable
{
    private const string Text = "Once upon a time there was a king who had three sons, and the youngest of them went into the forest. There he met an old woman, who asked him for bread, and he gave her half of what he had.";

    private readonly string _folder = Directory.CreateTempSubdirectory("tare-divergence-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [Fact]
    public void The_divergence_is_that_of_its_definition()
    {
        float[] p = [1, 2, 3, float.NegativeInfinity], q = [1.5f, 0, 3.2f, -2];
        double Softmax(float[] x, int i) => Math.Exp(x[i]) / x.Sum(v => Math.Exp(v));
        Divergence.Kl(p, q).ShouldBe(Enumerable.Range(0, 3).Sum(i => Softmax(p, i) * Math.Log(Softmax(p, i) / Softmax(q, i))), 1e-12);
        Divergence.Kl(p, p).ShouldBe(0, 1e-15);
        Divergence.Kl([0, 0], [0, float.NegativeInfinity]).ShouldBe(double.PositiveInfinity);
    }

    /// <summary>The same stored weights in float64, exact and fast; and how far the type itself is from the original.</summary>
    [Theory]
    [InlineData("F32", 1e-9)]
    [InlineData("F16", 1e-6)]
    [InlineData("BF16", 1e-3)]
    [InlineData("Q8_0", 1e-3)]
    [InlineData("Q6_K", 5e-3)]
    [InlineData("Q5_K", 0.02)]
    [InlineData("Q5_1", 0.02)]
    [InlineData("Q5_0", 0.03)]
    [InlineData("Q4_K", 0.06)]
    [InlineData("IQ4_NL", 0.08)]
    [InlineData("Q4_1", 0.08)]
    [InlineData("Q4_0", 0.1)]
    [InlineData("MXFP4", 0.25)]
    public void A_checkpoint_in_each_type_is_run_as_it_is_stored_and_stays_near_the_original(string type, double limit)
    {
        string target = Path.Combine(_folder, "model.gguf");
        using var source = ModelFile.Open(Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free"));
        new Requantization(source, new TypePolicy(Enum.Parse<TensorType>(type), Pure: true)).Write(target);
        using var quantized = ModelFile.Open(target);
        var tokenizer = Tokenizer.Of(quantized);
        int[] ids = tokenizer.Encode(Text, addSpecial: false)[..40];
        var graph = ArchitectureRegistry.Build(quantized);
        using var reference = new ReferenceBackend(2);
        using var cpu = new CpuBackend(2);
        DivergenceReport Compare(Tare.Graphs.Graph of, bool exactly) => Divergence.Compute((reference, of), (cpu, exactly ? graph : IntegerActivations.Apply(graph)), ids, null, 40);

        var exact = Compare(graph, exactly: true);
        exact.Kl.Positions.ShouldBe(39);
        exact.Kl.Max.ShouldBeLessThan(1e-8);
        exact.TopAgreement.ShouldBe(1);
        exact.Engine.MeanNll.ShouldBe(exact.Reference.MeanNll, 1e-4);
        var fast = Compare(graph, exactly: false);
        fast.Kl.Mean.ShouldBeLessThan(0.01);
        if (type.StartsWith('Q') || type is "IQ4_NL" or "MXFP4") fast.Kl.Max.ShouldBeGreaterThan(0);
        Compare(ArchitectureRegistry.Build(source), exactly: true).Kl.Mean.ShouldBeLessThan(limit);
    }
}
