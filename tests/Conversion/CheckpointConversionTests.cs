using System.Text.Json.Nodes;
using Tare.Backends.Reference;
using Tare.Conversion;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Tests.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Conversion;

public sealed class CheckpointConversionTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-convert-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    public static TheoryData<ArchitectureCase> Folders() => [.. ((IEnumerable<object[]>)ArchitectureCase.All()).Select(c => (ArchitectureCase)c[0]).Where(c => c.ConfigName is "config.json" or "")];

    [ConformanceTheory("architectures")]
    [MemberData(nameof(Folders))]
    public void A_converted_folder_gives_the_logits_of_the_original_or_is_refused_with_the_reason(ArchitectureCase c)
    {
        using var source = c.Open();
        if (source is not Tare.Formats.Safetensors.CheckpointFolder folder) return;
        string target = Path.Combine(_folder, "out.gguf"), type = folder.Config!.Value.GetProperty("architectures")[0].GetString()!;
        var refusal = Record.Exception(() => new Requantization(source, new TypePolicy(TensorType.F32)).Write(target));
        if (refusal is not null)
        {
            refusal.ShouldBeOfType<ModelFileException>(refusal.ToString());
            if (ArchitectureRegistry.GgufNameOf(type) is null) refusal.Message.ShouldContain($"{type} has no name in GGUF");
            else refusal.Message.ShouldContain("GGUF can't express this model");
            CannotBeExpressed(c.Name).ShouldBeTrue(refusal.Message);
            File.Exists(target).ShouldBeFalse();
            return;
        }
        CannotBeExpressed(c.Name).ShouldBeFalse();
        using var expected = ModelFile.Open(c.ExpectedPath);
        using var written = ModelFile.Open(target);
        var graph = ArchitectureCase.WithHiddenStates(ArchitectureRegistry.Build(written));
        using var reference = new ReferenceBackend();
        var outputs = WholeSequences.Run<double>(reference, graph, ArchitectureCase.Tokens(expected));
        var states = ArchitectureCase.HiddenStates(expected);
        for (int i = 0; i < states.Count; i++) Nmse.WorstRow(outputs[$"hidden.{i}"], states[i].Values, states[i].Width).ShouldBeLessThan(1e-12, $"hidden state {i}");
        if (c.Name.StartsWith("bert", StringComparison.Ordinal)) return; // that format has no masked-language-model head
        expected.TryGetTensor("logits", out var logits).ShouldBeTrue();
        Nmse.WorstRow(outputs[GraphBuilder.LogitsOutput], logits!.ToArray(), logits.Width).ShouldBeLessThan(1e-12);
    }

    // Architectures without a GGUF name, variants that the format has no key for; the layers without rotation that this smollm3 lists.
    private static bool CannotBeExpressed(string name) => name.Split(' ')[0] is "mistral-window" or "llama-dynamic-rope" or "gemma2-attention-scale" or "gemma3-attention-scale" or "smollm3" or "opt" or "opt-post-ln" or "gpt2-options";

    [ConformanceTheory("architectures-gguf")]
    [InlineData("llama3-rope")]
    [InlineData("gpt-neox-parallel")]
    [InlineData("gemma2")]
    [InlineData("mixtral")]
    [InlineData("falcon-40b-style")]
    public void A_converted_folder_has_the_tensors_that_the_formats_own_converter_writes(string name)
    {
        string target = Path.Combine(_folder, "out.gguf");
        using var source = ModelFile.Open(Path.Combine(SharedData.Conformance("architectures")!, name));
        new Requantization(source, new TypePolicy(TensorType.F32)).Write(target);
        using var ours = ModelFile.Open(target);
        using var theirs = ModelFile.Open(Path.Combine(SharedData.Conformance("architectures-gguf")!, name + ".gguf"));
        ours.Tensors.Select(t => t.Name).Order(StringComparer.Ordinal).ShouldBe(theirs.Tensors.Select(t => t.Name).Where(n => n != "output.weight" || ours.TryGetTensor(n, out _)).Order(StringComparer.Ordinal));
        foreach (var tensor in ours.Tensors)
        {
            theirs.TryGetTensor(tensor.Name, out var other).ShouldBeTrue();
            tensor.Shape.ShouldBe(other!.Shape, tensor.Name);
            float[] mine = tensor.ToArray(), their = other.ToArray();
            for (int i = 0; i < mine.Length; i++) mine[i].ShouldBe(their[i], 1e-6 * Math.Abs(their[i]), tensor.Name);
        }
    }

    public static TheoryData<string> Tokenizers() => SharedData.Conformance("tokenizers-hf") is string root ? [.. Directory.GetFiles(root, "*.tokenizer.json").Order(StringComparer.Ordinal).Select(f => Path.GetFileName(f)!.Split('.')[0])] : ["none"];

    [ConformanceTheory("tokenizers-hf")]
    [MemberData(nameof(Tokenizers))]
    public void A_converted_vocabulary_gives_the_ids_of_the_original_or_is_refused(string name)
    {
        string root = SharedData.Conformance("tokenizers-hf")!, copy = Path.Combine(_folder, "model"), target = Path.Combine(_folder, "out.gguf");
        Directory.CreateDirectory(copy);
        foreach (string file in Directory.GetFiles(Path.Combine(SharedData.Conformance("architectures")!, "llama"))) File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        File.Copy(Path.Combine(root, name + ".tokenizer.json"), Path.Combine(copy, "tokenizer.json"));
        using var source = ModelFile.Open(copy);
        var refusal = Record.Exception(() => new Requantization(source, new TypePolicy(TensorType.F32)).Write(target));
        if (refusal is not null)
        {
            refusal.ShouldBeOfType<ModelFileException>(refusal.ToString());
            Convertible.ShouldNotContain(name, refusal.Message);
            return;
        }
        using var written = ModelFile.Open(target);
        Tare.Tokenizers.Tokenizer before = Tare.Tokenizers.Tokenizer.Of(source), after = Tare.Tokenizers.Tokenizer.Of(written);
        var random = new Random(5);
        for (int i = 0; i < 200; i++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(1, 40)).Select(_ => Pieces[random.Next(Pieces.Length)]));
            after.Encode(text).ShouldBe(before.Encode(text), text);
        }
    }

    private static readonly string[] Convertible = ["gpt2", "llama2", "llama3", "qwen2", "smollm2-style", "bert-uncased", "tekken", "o200k", "deepseek3"];

    private static readonly string[] Pieces = ["the", " The", " ", "  ", "\n", "\t", "'s", "'LL", "12", "3456", ",", ".", "!?", "é", "ß", "日本", "語", "🙂", "_", "/", "HTTP", "word", "x", "नम", "ते", "…", "(", ")", "=", "->", " a", "A"];

    [Fact]
    public void Values_that_a_type_cant_hold_are_refused_by_name()
    {
        string path = Path.Combine(_folder, "in.gguf");
        Tare.Formats.Gguf.GgufWriter.Write(path, [("general.architecture", Tare.Formats.Gguf.GgufValueType.String, "llama")],
            [new Tare.Formats.Safetensors.TensorToWrite("token_embd.weight", TensorType.F32, [1, 32], s => { for (int i = 0; i < 32; i++) s.Write(BitConverter.GetBytes(i == 3 ? 1e6f : 1f)); }),
             new Tare.Formats.Safetensors.TensorToWrite("blk.0.ffn_up.weight", TensorType.F32, [1, 32], s => { for (int i = 0; i < 32; i++) s.Write(BitConverter.GetBytes(i == 3 ? float.NaN : 1f)); })]);
        using var file = ModelFile.Open(path);
        Should.Throw<ModelFileException>(() => new Requantization(file, new TypePolicy(TensorType.F16)).Write(Path.Combine(_folder, "o1.gguf"))).Message.ShouldContain("token_embd.weight");
        Should.Throw<ModelFileException>(() => new Requantization(file, new TypePolicy(TensorType.Q8_0)).Write(Path.Combine(_folder, "o2.gguf"))).Message.ShouldContain("blk.0.ffn_up.weight");
    }
}
