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
    [InlineData("qwen2.5-0.5b", TensorType.Q8_0, 2, 96, 6, 2, 16, 224)]
    [InlineData("openelm-270m", TensorType.F16, 5, 88, 12, 4, 8, 320)]
    [InlineData("mixtral-8x7b", TensorType.BF16, 2, 64, 4, 2, 16, 96)]
    [InlineData("recursive-135m", TensorType.Q4_0, 7, 96, 6, 2, 16, 96)]
    [InlineData("widenet-12", TensorType.F32, 4, 48, 4, 4, 12, 40)]
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
    public void Every_known_shape_and_every_type_that_can_be_written_loads()
    {
        string path = Path.Combine(_folder, "model.gguf");
        foreach (var (name, known) in SyntheticShape.Known)
        {
            known.Validate();
            // The same shape at two blocks and a small width, so that the test is quick.
            int heads = known.Heads / known.KvHeads * 2, width = known.Architecture is "gpt2" or "gptneox" ? heads * 8 : 48;
            var small = known with { Blocks = 2, Width = width, Heads = heads, KvHeads = 2 * (known.KvHeads == known.Heads ? heads / 2 : 1), HeadWidth = 8, Inner = 32, Vocabulary = 300, Context = 64, Shared = Math.Min(known.Shared, 2) };
            SyntheticModel.Write(path, small, TensorType.F16, 1);
            using var model = ModelFile.Open(path);
            ArchitectureRegistry.Build(model).Blocks.ShouldBe(2, name);
        }
        foreach (var type in SyntheticModel.Types)
        {
            SyntheticModel.Write(path, SyntheticShape.Known["llama-1b"] with { Blocks = 1, Width = 256, Heads = 4, KvHeads = 2, HeadWidth = 64, Inner = 512, Vocabulary = 300 }, type, 1);
            using var model = ModelFile.Open(path);
            model.TryGetTensor("blk.0.ffn_down.weight", out var down).ShouldBeTrue();
            down!.Type.ShouldBe(type);
            _ = ArchitectureRegistry.Build(model);
        }
    }

    [Fact]
    public void OpenElm_shapes_grow_from_block_to_block()
    {
        var shape = SyntheticShape.Known["openelm-270m"];
        Enumerable.Range(0, 16).Select(shape.KvHeadsOf).ShouldBe([3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5]);
        shape.HeadsOf(15).ShouldBe(20);
        (shape.InnerOf(0), shape.InnerOf(15)).ShouldBe((768, 5120));
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
