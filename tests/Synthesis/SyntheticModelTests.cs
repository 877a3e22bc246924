using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Formats;
using Tare.Formats.Quantization.Encoding;
using Tare.Graphs;
using Tare.Graphs.Weights;
using Tare.Models;
using Tare.Synthesis;
using Tare.Tests.Support;
using Tare.Tokenizers;

namespace Tare.Tests.Synthesis;

/// <summary>Random-weight models load, run, and give the same on CPU and Reference, for odd shapes too.</summary>
public sealed class SyntheticModelTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-synth-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [Theory]
    [InlineData("llama-1b", TensorType.Q8_0, 2, 96, 6, 2, 16, 224)]
    [InlineData("smollm2-135m", TensorType.Q4_1, 2, 64, 9, 3, 10, 96)]
    [InlineData("qwen3-0.6b", TensorType.Q4_0, 2, 160, 4, 2, 32, 64)]
    [InlineData("gpt2-124m", TensorType.BF16, 2, 77, 7, 7, 11, 301)]
    [InlineData("pythia-410m", TensorType.F16, 2, 120, 3, 3, 40, 99)]
    [InlineData("pythia-410m", TensorType.F32, 1, 24, 1, 1, 24, 7)]
    public void Cpu_equals_reference_on_odd_shapes(string like, TensorType type, int blocks, int width, int heads, int kvHeads, int headWidth, int inner)
    {
        string path = Path.Combine(_folder, "model.gguf");
        var shape = SyntheticShape.Known[like] with { Blocks = blocks, Width = width, Heads = heads, KvHeads = kvHeads, HeadWidth = headWidth, Inner = inner, Vocabulary = 311 };
        SyntheticModel.Write(path, shape, type, 3);
        using var model = ModelFile.Open(path);
        Tokenizer.Of(model).Count.ShouldBe(311);
        var graph = ArchitectureRegistry.Build(model);
        int[] ids = [.. Enumerable.Range(0, 80).Select(i => i * 37 % 311)];
        using var reference = new ReferenceBackend();
        using var cpu = new CpuBackend();
        float[] expected = WholeSequences.Run<float>(reference, graph, ids)[GraphBuilder.LogitsOutput];
        Nmse.WorstRow(WholeSequences.Run<float>(cpu, graph, ids)[GraphBuilder.LogitsOutput], expected, 311).ShouldBeLessThan(1e-9);
        expected.Max(Math.Abs).ShouldBeInRange(0.5f, 50); // alive, not exploded
    }

    [Fact]
    public void The_same_seed_gives_the_same_file_and_another_another()
    {
        var shape = SyntheticShape.Known["llama-1b"] with { Blocks = 1, Width = 64, Heads = 2, KvHeads = 1, HeadWidth = 32, Inner = 96, Vocabulary = 300 };
        byte[] Bytes(int seed)
        {
            string path = Path.Combine(_folder, $"{seed}.gguf");
            SyntheticModel.Write(path, shape, TensorType.Q4_0, seed);
            return File.ReadAllBytes(path);
        }
        byte[] first = Bytes(1);
        Bytes(1).ShouldBe(first);
        Bytes(2).ShouldNotBe(first);
        Should.Throw<ArgumentException>(() => SyntheticModel.Write(Path.Combine(_folder, "x"), shape with { KvHeads = 3 }, TensorType.F16, 1)).Message.ShouldContain("3 key heads");
        Directory.GetFiles(_folder, "x*").ShouldBeEmpty();
    }

    [Theory]
    [InlineData(TensorType.F32, 0)]
    [InlineData(TensorType.F16, 1e-7)]
    [InlineData(TensorType.BF16, 1e-5)]
    [InlineData(TensorType.Q8_0, 5e-5)]
    [InlineData(TensorType.Q4_0, 1e-2)]
    [InlineData(TensorType.Q4_1, 1e-2)]
    public void Encoding_then_decoding_stays_within_the_types_precision(TensorType type, double limit)
    {
        var random = new Random(4);
        float[] values = [.. Enumerable.Range(0, 32 * 50).Select(_ => (float)(random.NextDouble() * 2 - 1)), .. new float[32]];
        Tare.Formats.Quantization.BlockFormats.TryGet(type, out var format).ShouldBeTrue();
        var bytes = new byte[values.Length / format!.ValuesPerBlock * format.BytesPerBlock];
        BlockEncoder.Encode(type, values, bytes);
        var decoded = new float[values.Length];
        format.Decode(bytes, decoded);
        Nmse.WorstRow(decoded, values, values.Length).ShouldBeLessThanOrEqualTo(limit);
        decoded[^32..].ShouldAllBe(v => v == 0);
    }
}
