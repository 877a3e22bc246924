using System.Text;
using System.Text.Json;
using Tare.Backends.Cpu;
using Tare.Conversion;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Serialization;
using Tare.Graphs.Weights;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tests.Rewrites;
using Tare.Tests.Support;

namespace Tare.Tests.Conversion;

/// <summary>Graphs in files: the same graph comes back, a written model gives the same bits, bad documents end in one error.</summary>
public sealed class GraphFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-graph-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [ConformanceFact("architectures", "architectures-gguf")]
    public void Every_architectures_graph_comes_back_from_its_document()
    {
        foreach (string path in Directory.GetDirectories(SharedData.Conformance("architectures")!).Concat(Directory.GetFiles(SharedData.Conformance("architectures-gguf")!, "*.gguf")))
        {
            using var file = ModelFile.Open(path);
            var graph = ArchitectureRegistry.Build(file);
            var (json, weights) = Document(graph);
            var back = GraphJson.Read(JsonDocument.Parse(json).RootElement, name => weights[name]);
            back.Nodes.ShouldBe(graph.Nodes, path);
            back.Outputs.ShouldBe(graph.Outputs);
            back.HiddenStates.ShouldBe(graph.HiddenStates);
        }
    }

    [Fact]
    public void A_written_rewrite_gives_the_bits_of_the_one_in_memory()
    {
        int[] tokens = [.. Enumerable.Range(0, 20).Select(i => i * 31 % 4000)];
        using var cpu = new CpuBackend(2);
        foreach (var (input, target, output) in new[] { ("fable-ln.F16.gguf", NormTarget.Rms, "rms.gguf"), ("fable-ln.F16.gguf", NormTarget.Crms, "crms.gguf"), ("fable-ln-free", NormTarget.None, "none"), ("fable-ln-free", NormTarget.None, "none.gguf") })
        {
            using var file = ModelFile.Open(Path.Combine(SharedData.RepositoryRoot, "models", input));
            var graph = NormRewrites.Apply(ArchitectureRegistry.Build(file), target, new RewriteReport());
            string path = Path.Combine(_folder, output);
            GraphFile.Write(file, graph, path);
            using var written = ModelFile.Open(path);
            RewriteFixture.Logits(cpu, ArchitectureRegistry.Build(written), tokens).ShouldBe(RewriteFixture.Logits(cpu, graph, tokens), output);
            ContextLength.Trained(written).ShouldBe(ContextLength.Trained(file));
            Tare.Tokenizers.Tokenizer.Of(written).Encode("Once upon a time").ShouldBe(Tare.Tokenizers.Tokenizer.Of(file).Encode("Once upon a time"));
        }
        using var again = ModelFile.Open(Path.Combine(_folder, "rms.gguf"));
        var verdict = NormVerdict.Of(ArchitectureRegistry.Build(again));
        verdict.RmsNormToCompressed.ShouldBeTrue("the weights of a written file are still centered: " + verdict.Reason);
    }

    [ConformanceFact("architectures", "architectures-gguf")]
    public void A_rewrite_that_is_a_Llama_is_written_as_one()
    {
        int[] tokens = [.. Enumerable.Range(0, 20).Select(i => i * 31 % 300)];
        using var cpu = new CpuBackend(2);
        string olmo = Path.Combine(SharedData.Conformance("architectures")!, "olmo");
        foreach (var (input, output) in new[] { (olmo, "folder"), (olmo, "from-folder.gguf"), (Path.Combine(SharedData.Conformance("architectures-gguf")!, "olmo.gguf"), "olmo.gguf") })
        {
            using var file = ModelFile.Open(input);
            var graph = NormRewrites.Apply(ArchitectureRegistry.Build(file), NormTarget.Rms, new RewriteReport(), new NormRewriteOptions { Untie = true });
            string path = Path.Combine(_folder, output);
            GraphFile.Architecture(file, graph, path).ShouldBe(("llama", null));
            GraphFile.Write(file, graph, path);
            using var written = ModelFile.Open(path);
            if (written is Tare.Formats.Gguf.GgufFile gguf) gguf.Metadata.FindString("general.architecture").ShouldBe("llama");
            RewriteFixture.Relative(RewriteFixture.Logits(cpu, ArchitectureRegistry.Build(written), tokens), RewriteFixture.Logits(cpu, ArchitectureRegistry.Build(file), tokens)).ShouldBeLessThan(1e-5);
        }
    }

    [ConformanceFact("architectures")]
    public void A_rewrite_that_is_no_Llama_says_what_a_Llama_has_otherwise()
    {
        using var fable = ModelFile.Open(Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf"));
        Reason(fable, NormTarget.Rms).ShouldContain("Embed position_embd.weight·Center: a Llama has Norm there");
        using var olmo = ModelFile.Open(Path.Combine(SharedData.Conformance("architectures")!, "olmo"));
        Reason(olmo, NormTarget.Crms).ShouldContain("CompressedRmsNorm (block 0): a Llama has a plain RMSNorm without bias there");

        static string Reason(ModelFile file, NormTarget target)
        {
            var (name, reason) = GraphFile.Architecture(file, NormRewrites.Apply(ArchitectureRegistry.Build(file), target, new RewriteReport()));
            name.ShouldBe("tare-graph");
            return reason!;
        }
    }

    [Fact]
    public void A_folder_is_not_made_from_a_file()
    {
        using var file = ModelFile.Open(Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf"));
        Should.Throw<ModelFileException>(() => GraphFile.Write(file, ArchitectureRegistry.Build(file), Path.Combine(_folder, "out"))).Message.ShouldContain("name a .gguf file");
    }

    [Fact]
    public void Touched_tensors_get_the_wanted_type_and_the_others_keep_their_bytes()
    {
        using var file = ModelFile.Open(Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf"));
        var graph = NormRewrites.Apply(ArchitectureRegistry.Build(file), NormTarget.Rms, new RewriteReport());
        var plan = GraphFile.Plan(graph, TensorType.Q8_0);
        plan.Where(t => t.Touched && t.To != TensorType.Q8_0).ShouldAllBe(t => t.To == TensorType.F32); // biases
        plan.ShouldContain(t => t.Touched && t.To == TensorType.Q8_0);
        plan.ShouldContain(t => !t.Touched && t.From == t.To);
        GraphFile.Write(file, graph, Path.Combine(_folder, "q8.gguf"), TensorType.Q8_0);
        using var written = ModelFile.Open(Path.Combine(_folder, "q8.gguf"));
        foreach (var tensor in plan)
        {
            written.TryGetTensor(tensor.Name, out var stored).ShouldBeTrue(tensor.Name);
            stored!.Type.ShouldBe(tensor.To);
        }
    }

    [Theory]
    [InlineData("\"version\":1", "\"version\":9", "version 9")]
    [InlineData("\"op\":\"Embed\"", "\"op\":\"Wonder\"", "op 'Wonder' is not known")]
    [InlineData("\"op\":\"Embed\"", "\"op\":\"Embed\",\"wonder\":1", "member 'wonder' is not known")]
    [InlineData("\"hidden_states\":[\"", "\"hidden_states\":[\"99", "which does not exist")]
    [InlineData("\"epsilon\":1E-05", "\"epsilon\":\"x\"", "epsilon")]
    [InlineData("\"heads\":4", "\"heads\":99999999", "heads")]
    [InlineData("\"inputs\":[\"0\"]", "\"inputs\":[\"7\"]", "is not an earlier value")]
    [InlineData("\"table\":\"embed\"", "\"table\":\"nothing\"", "nothing")]
    public void A_bad_document_ends_in_one_error(string what, string instead, string says)
    {
        var (json, weights) = Document(new RandomModel().Build());
        json.ShouldContain(what);
        int at = json.IndexOf(what, StringComparison.Ordinal);
        string bad = json[..at] + instead + json[(at + what.Length)..];
        Should.Throw<GraphException>(() => GraphJson.Read(JsonDocument.Parse(bad).RootElement, name => weights.TryGetValue(name, out var weight) ? weight : throw new GraphException($"tensor '{name}' is missing"))).Message.ShouldContain(says);
    }

    [Fact]
    public void Mutated_documents_never_crash()
    {
        var (json, weights) = Document(new RandomModel(Window: 5).Build());
        var random = new Random(7);
        for (int i = 0; i < 3000; i++)
        {
            char[] text = json.ToCharArray();
            for (int k = random.Next(1, 4); k > 0; k--) text[random.Next(text.Length)] = "0123456789\"{}[],:-eE."[random.Next(21)];
            try
            {
                GraphJson.Read(JsonDocument.Parse(new string(text)).RootElement, name => weights.TryGetValue(name, out var weight) ? weight : throw new GraphException("missing"));
            }
            catch (Exception e) when (e is GraphException or JsonException or OverflowException)
            {
            }
        }
    }

    private static (string Json, Dictionary<string, Weight> Weights) Document(Graph graph)
    {
        var names = new Dictionary<Weight, string>();
        var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
            GraphJson.Write(json, graph, weight =>
            {
                if (!names.TryGetValue(weight, out string? name)) names.Add(weight, name = weight is ConstantWeight constant ? constant.Label : $"w{names.Count}");
                return name;
            });
        return (Encoding.UTF8.GetString(buffer.ToArray()), names.ToDictionary(n => n.Value, n => n.Key));
    }
}
