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
    [InlineData("Q4_K", 0.1)]
    [InlineData("Q6_K", 0.05)]
    [InlineData("IQ4_NL", 0.15)]
    [InlineData("MXFP4", 0.4)]
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
    }

    [Fact]
    public void A_checkpoint_folder_becomes_a_file_with_its_vocabulary_and_the_same_perplexity()
    {
        string source = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free"), target = Path.Combine(_folder, "out.gguf");
        var (code, output, error) = CommandLine.Run("quantize", "-m", source, "--type", "F32", "-o", target);
        code.ShouldBe(0, error);
        output.ShouldContain("bits per weight");
        Nll(target).ShouldBe(Nll(source), 1e-6);
        CommandLine.Run("quantize", "-m", source, "--type", "Q4_K", "--pure", "-o", target, "--json").Output.ShouldNotContain("\"to\":\"Q6_K\"");
        CommandLine.Run("quantize", "-m", source, "--type", "Q4_K", "--output-tensor-type", "Q8_0", "-o", target, "--json").Output.ShouldContain("as asked for the output");
    }

    [Fact]
    public void K_types_fall_back_to_blocks_of_32()
    {
        string source = Path.Combine(_folder, "narrow.gguf"), target = Path.Combine(_folder, "out.gguf");
        Tare.Synthesis.SyntheticModel.Write(source, Tare.Synthesis.SyntheticShape.Known["smollm2-135m"] with { Blocks = 1, Width = 96, Heads = 3, KvHeads = 1, HeadWidth = 32, Inner = 256, Vocabulary = 300, Context = 64 }, TensorType.F32, 1);
        foreach (var (type, fallback) in new[] { ("Q4_K", TensorType.Q5_0), ("Q5_K", TensorType.Q5_1), ("Q6_K", TensorType.Q8_0) })
        {
            CommandLine.Run("quantize", "-m", source, "--type", type, "-o", target).Output.ShouldContain("blocks of 256 don't divide rows of 96");
            using var model = ModelFile.Open(target);
            model.TryGetTensor("blk.0.attn_q.weight", out var narrow).ShouldBeTrue();
            narrow!.Type.ShouldBe(fallback);
            model.TryGetTensor("blk.0.ffn_down.weight", out var wide).ShouldBeTrue();
            wide!.Type.ToString().ShouldBe(type);
            model.TryGetTensor("token_embd.weight", out var output).ShouldBeTrue();
            output!.Type.ShouldBe(TensorType.Q8_0); // the tied output matrix, whose rows Q6_K can't divide
        }
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
