using System.Text.Json;
using Tare.Backends.Cpu;
using Tare.Diagnostics;
using Tare.Formats;
using Tare.Models;
using Tare.Tests.Support;
using Tare.Tokenizers;

namespace Tare.Tests.Cli;

public sealed class QuantizeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-quantize-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [Theory]
    [InlineData("Q8_0", 0.01)]
    [InlineData("Q4_1", 0.25)]
    [InlineData("Q4_0", 0.25)]
    [InlineData("BF16", 0.01)]
    public void A_quantized_model_predicts_almost_as_well(string type, double limit)
    {
        string source = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf"), target = Path.Combine(_folder, "out.gguf");
        var (code, output, error) = CommandLine.Run("quantize", "-m", source, "--type", type, "-o", target, "--json");
        code.ShouldBe(0, error);
        using var json = JsonDocument.Parse(output);
        json.RootElement.GetProperty("tensors").EnumerateArray().ShouldContain(t => t.GetProperty("to").GetString() == type);
        json.RootElement.GetProperty("tensors").EnumerateArray().ShouldContain(t => t.GetProperty("to").GetString() == "F32" && t.GetProperty("reason").GetString() == "a vector");
        double before = Nll(source), after = Nll(target);
        Math.Abs(after - before).ShouldBeLessThan(limit);
        if (type != "BF16") new FileInfo(target).Length.ShouldBeLessThan(new FileInfo(source).Length);
    }

    [Fact]
    public void Rows_that_blocks_dont_divide_fall_back_and_wrong_targets_are_refused()
    {
        string source = Path.Combine(_folder, "odd.gguf"), target = Path.Combine(_folder, "out.gguf");
        Tare.Synthesis.SyntheticModel.Write(source, Tare.Synthesis.SyntheticShape.Known["gpt2-124m"] with { Blocks = 1, Width = 40, Heads = 2, KvHeads = 2, HeadWidth = 20, Inner = 64, Vocabulary = 300, Context = 64 }, TensorType.F32, 1);
        CommandLine.Run("quantize", "-m", source, "--type", "Q8_0", "-o", target).Output.ShouldContain("don't divide");
        using (var model = ModelFile.Open(target))
        {
            model.TryGetTensor("blk.0.attn_qkv.weight", out var narrow).ShouldBeTrue();
            narrow!.Type.ShouldBe(TensorType.F16);
            model.TryGetTensor("blk.0.ffn_down.weight", out var wide).ShouldBeTrue();
            wide!.Type.ShouldBe(TensorType.Q8_0);
            ArchitectureRegistry.Build(model).Blocks.ShouldBe(1);
        }
        CommandLine.Run("quantize", "-m", source, "--type", "Q8_0", "-o", source).ExitCode.ShouldBe(1);
        CommandLine.Run("quantize", "-m", source, "--type", "Q9_9", "-o", target).ExitCode.ShouldBe(2);
        CommandLine.Run("quantize", "-m", Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free"), "--type", "Q8_0", "-o", target).ExitCode.ShouldBe(1);
    }

    private static double Nll(string path)
    {
        using var file = ModelFile.Open(path);
        var tokenizer = Tokenizer.Of(file);
        int[] ids = tokenizer.Encode(string.Join(' ', Enumerable.Repeat("Once upon a time there was a king who had three sons, and the youngest of them went into the forest.", 12)), addSpecial: false);
        using var backend = new CpuBackend(2);
        return Perplexity.Compute(backend, ArchitectureRegistry.Build(file), ids, tokenizer.BeginningOfSequence, 128).All.MeanNll;
    }
}
