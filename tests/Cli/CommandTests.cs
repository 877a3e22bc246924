using System.Text.Json;
using Tare.Formats;
using Tare.Models;
using Tare.Tests.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Cli;

public sealed class CommandTests : IDisposable
{
    private static readonly string Fable = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf");
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-cli-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [ConformanceFact("architectures")]
    public void Logits_and_hidden_states_match_the_reference_in_chunks_too()
    {
        string root = SharedData.Conformance("architectures")!;
        foreach (string name in new[] { "llama", "deepseek-v3", "opt-post-ln", "bert" })
        {
            string folder = Path.Combine(root, name);
            using var expected = ModelFile.Open(Path.Combine(folder, "expected.safetensors"));
            int[] ids = ArchitectureCase.Tokens(expected)[1];
            expected.TryGetTensor("logits", out var logits).ShouldBeTrue();
            float[] second = logits!.ToArray()[(int)(logits.ElementCount / 2)..];
            var states = ArchitectureCase.HiddenStates(expected);
            foreach (string[] extra in new[] { new string[] { "--hidden" }, ["--hidden", "--chunk", "7", "-t", "1", "--no-mmap", "--precision", "exact"] })
            {
                string target = Path.Combine(_folder, "out.safetensors");
                CommandLine.Run(["logits", "-m", folder, "--ids", string.Join(',', ids), "-o", target, .. extra.Contains("--precision") ? extra : [.. extra, "--precision", "exact"]]).ExitCode.ShouldBe(0);
                using var written = ModelFile.Open(target);
                written.TryGetTensor("logits", out var values).ShouldBeTrue();
                values!.Shape.ShouldBe([24, logits.Width]);
                Nmse.WorstRow(values.ToArray(), second, logits.Width).ShouldBeLessThan(1e-9, name);
                float[] hidden = written.TryGetTensor("hidden_states", out var all) ? all.ToArray() : [.. Enumerable.Range(0, states.Count).SelectMany(i => { written.TryGetTensor($"hidden_states.{i}", out var one).ShouldBeTrue(); return one!.ToArray(); })];
                int at = 0;
                foreach (var (layer, width) in states)
                {
                    Nmse.WorstRow(hidden.AsSpan(at, 24 * width), layer.AsSpan(layer.Length / 2), width).ShouldBeLessThan(1e-9, name);
                    at += 24 * width;
                }
                at.ShouldBe(hidden.Length);
            }
        }
    }

    [ConformanceFact("minilm", "models/all-MiniLM-L6-v2.Q8_0.gguf")]
    public void Embeddings_of_MiniLM_point_where_the_reference_points()
    {
        string root = SharedData.Conformance("minilm")!, model = SharedData.Model("all-MiniLM-L6-v2.Q8_0.gguf")!;
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(root, "expected.json")));
        using var expected = ModelFile.Open(Path.Combine(root, "expected.safetensors"));
        expected.TryGetTensor("embeddings", out var embeddings).ShouldBeTrue();
        float[] reference = embeddings!.ToArray();
        string[] sentences = [.. json.RootElement.GetProperty("sentences").EnumerateArray().Select(s => s.GetString()!).Take(4)];
        float[][] vectors = JsonSerializer.Deserialize<float[][]>(CommandLine.RunWithInput(JsonSerializer.Serialize(sentences), "embed", "-m", model, "--json").Output)!;
        vectors.Length.ShouldBe(4);
        for (int i = 0; i < 4; i++)
        {
            double dot = 0, a = 0, b = 0;
            for (int k = 0; k < vectors[i].Length; k++)
            {
                double x = vectors[i][k], y = reference[i * embeddings.Width + k];
                (dot, a, b) = (dot + x * y, a + x * x, b + y * y);
            }
            (1 - dot / Math.Sqrt(a * b)).ShouldBeLessThan(1e-9, sentences[i]);
            a.ShouldBe(1, 1e-6);
        }
        CommandLine.RunWithInput("[]", "embed", "-m", model, "--json").Output.Trim().ShouldBe("[]");
        float[] first = JsonSerializer.Deserialize<float[][]>(CommandLine.RunWithInput("[\"A cat\"]", "embed", "-m", model, "--json", "--pooling", "cls", "--no-normalize").Output)![0];
        Math.Abs(first.Sum(v => (double)v * v) - 1).ShouldBeGreaterThan(1e-3);
    }

    [Fact]
    public void Tokenize_and_detokenize_take_json_and_logits_takes_text()
    {
        const string Texts = """["Once upon a time","a<|endoftext|>b",""]""";
        CommandLine.RunWithInput(Texts, "tokenize", "-m", Fable, "--json").Output.Trim().ShouldStartWith("[[0,2719,693,259,523],[0,");
        string plain = CommandLine.RunWithInput(Texts, "tokenize", "-m", Fable, "--json", "--no-add-special", "--no-parse-special").Output.Trim();
        plain.ShouldStartWith("[[2719,693,259,523],[");
        plain.ShouldNotContain(",0,");
        plain.ShouldEndWith(",[]]");
        CommandLine.RunWithInput(plain, "detokenize", "-m", Fable, "--json").Output.Trim().ShouldBe(JsonSerializer.Serialize(JsonSerializer.Deserialize<string[]>(Texts)));
        CommandLine.RunWithInput("[[0,2719]]", "detokenize", "-m", Fable, "--json", "--skip-special").Output.Trim().ShouldBe("[\"Once\"]");
        CommandLine.RunWithInput("{", "tokenize", "-m", Fable, "--json").ExitCode.ShouldBe(2);
        CommandLine.RunWithInput("[null]", "tokenize", "-m", Fable, "--json").ExitCode.ShouldBe(2);
        CommandLine.RunWithInput("[[99999]]", "detokenize", "-m", Fable, "--json").ExitCode.ShouldBe(1);
        string byText = Path.Combine(_folder, "text.safetensors"), byIds = Path.Combine(_folder, "ids.safetensors");
        CommandLine.Run("logits", "-m", Fable, "--text", "Once upon a time", "-o", byText).ExitCode.ShouldBe(0);
        CommandLine.Run("logits", "-m", Fable, "--ids", "0,2719,693,259,523", "-o", byIds).ExitCode.ShouldBe(0);
        File.ReadAllBytes(byText).ShouldBe(File.ReadAllBytes(byIds));
        CommandLine.Run("logits", "-m", Fable, "-o", byIds).ExitCode.ShouldBe(2);
    }

    [Theory]
    [InlineData("F32")]
    [InlineData("F16")]
    [InlineData("BF16")]
    public void Export_writes_every_tensor_decoded(string type)
    {
        string target = Path.Combine(_folder, "out.safetensors");
        CommandLine.Run("export", "-m", Fable, "-o", target, "--type", type).ExitCode.ShouldBe(0);
        using var original = ModelFile.Open(Fable);
        using var exported = ModelFile.Open(target);
        exported.Tensors.Select(t => t.Name).ShouldBe(original.Tensors.Select(t => t.Name));
        foreach (var tensor in original.Tensors)
        {
            exported.TryGetTensor(tensor.Name, out var copy).ShouldBeTrue();
            copy!.Type.ToString().ShouldBe(type);
            copy.Shape.ShouldBe(tensor.Shape);
            float[] from = tensor.ToArray(), to = copy.ToArray();
            double bound = type == "F32" ? 0 : type == "F16" ? 1.0 / 2048 : 1.0 / 256;
            for (int i = 0; i < from.Length; i++) Math.Abs(to[i] - from[i]).ShouldBeLessThanOrEqualTo((float)(bound * Math.Abs(from[i]) + (type == "F16" ? 3e-8 : 0)));
        }
    }

    [Fact]
    public void Inspect_and_graph_give_json_that_parses()
    {
        using var inspected = JsonDocument.Parse(CommandLine.Run("inspect", Fable, "--json").Output);
        inspected.RootElement.GetProperty("metadata").GetProperty("general.architecture").GetString().ShouldBe("gpt2");
        inspected.RootElement.GetProperty("tensors").GetArrayLength().ShouldBe(77);
        using var graph = JsonDocument.Parse(CommandLine.Run("graph", "-m", Fable, "--json").Output);
        graph.RootElement.GetProperty("blocks").GetInt32().ShouldBe(6);
        graph.RootElement.GetProperty("hidden_states").GetArrayLength().ShouldBe(7);
        CommandLine.Run("inspect", Fable, "--tensors").Output.ShouldContain("blk.5.ffn_down.weight");
        CommandLine.Run("graph", "-m", Fable).Output.ShouldContain("block 5");
        CommandLine.Run("graph", "-m", Fable, "--fused").Output.ShouldContain("FusedRows(");
    }

    [ConformanceFact("architectures", "tokenizers-hf")]
    public void A_folder_of_sentence_transformers_says_how_its_vectors_are_pooled()
    {
        string root = Path.Combine(SharedData.Conformance("architectures")!, "bert");
        foreach (string file in Directory.GetFiles(root)) File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
        File.WriteAllText(Path.Combine(_folder, "tokenizer.json"), """{"added_tokens":[],"model":{"type":"WordPiece","unk_token":"[UNK]","vocab":{"[UNK]":0,"a":1,"b":2,"##b":3}},"pre_tokenizer":{"type":"BertPreTokenizer"}}""");
        float[][] Vectors(params string[] flags) => JsonSerializer.Deserialize<float[][]>(CommandLine.RunWithInput("""["a b","b"]""", ["embed", "-m", _folder, "--json", .. flags]).Output)!;
        float Norm(float[] vector) => (float)Math.Sqrt(vector.Sum(v => (double)v * v));
        Norm(Vectors()[0]).ShouldBe(1, 1e-5f);
        Directory.CreateDirectory(Path.Combine(_folder, "1_Pooling"));
        File.WriteAllText(Path.Combine(_folder, "1_Pooling", "config.json"), """{"word_embedding_dimension":64,"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}""");
        const string transformer = """{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},{"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"}""";
        File.WriteAllText(Path.Combine(_folder, "modules.json"), $"[{transformer}]");
        float[] cls = Vectors()[0];
        Math.Abs(Norm(cls) - 1).ShouldBeGreaterThan(0.01f);
        cls.ShouldBe(Vectors("--pooling", "cls", "--no-normalize")[0]);
        cls.ShouldNotBe(Vectors("--pooling", "mean", "--no-normalize")[0]);
        Norm(Vectors("--normalize")[0]).ShouldBe(1, 1e-5f);
        File.WriteAllText(Path.Combine(_folder, "modules.json"), $$"""[{{transformer}},{"idx":2,"name":"2","path":"2_Normalize","type":"sentence_transformers.models.Normalize"}]""");
        Norm(Vectors()[1]).ShouldBe(1, 1e-5f);
        File.WriteAllText(Path.Combine(_folder, "modules.json"), $$"""[{{transformer}},{"idx":2,"name":"2","path":"2_Dense","type":"sentence_transformers.models.Dense"}]""");
        CommandLine.RunWithInput("[]", "embed", "-m", _folder, "--json").Error.ShouldContain("Dense");
        File.Delete(Path.Combine(_folder, "modules.json"));
        string many = JsonSerializer.Serialize(Enumerable.Repeat(string.Join(' ', Enumerable.Repeat("a", 100)), 20).Append("b"));
        JsonSerializer.Deserialize<float[][]>(CommandLine.RunWithInput(many, "embed", "-m", _folder, "--json").Output)![^1].ShouldBe(Vectors()[1]); // more than one step
        CommandLine.RunWithInput(JsonSerializer.Serialize(new[] { "a", string.Join(' ', Enumerable.Repeat("a", 600)) }), "embed", "-m", _folder, "--json").Error.ShouldContain("text 1 has 600 tokens");
    }

    [ConformanceFact("tokenizers-hf")]
    public void Invariant_globalization_changes_no_id()
    {
        foreach (string name in new[] { "qwen2", "bert-uncased", "added-tokens" }) // form C, form D, lower case
        {
            using var cases = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(SharedData.Conformance("tokenizers-hf")!, $"{name}.cases.json")));
            string texts = JsonSerializer.Serialize(cases.RootElement.GetProperty("cases").EnumerateArray().Select(c => c.GetProperty("text").GetString()));
            string expected = JsonSerializer.Serialize(cases.RootElement.GetProperty("cases").EnumerateArray().Select(c => c.GetProperty("ids").EnumerateArray().Select(i => i.GetInt32())));
            var (exit, output, error) = CommandLine.RunWith(new() { ["DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"] = "1" }, texts, "tokenize", "-m", Path.Combine(SharedData.Conformance("tokenizers-hf")!, $"{name}.tokenizer.json"), "--json", "--no-add-special");
            exit.ShouldBe(0, error);
            output.Trim().ShouldBe(expected, name);
        }
    }

    [ConformanceFact("tokenizers-hf")]
    public void Tokenizers_need_no_weights_and_no_known_architecture()
    {
        string source = Path.Combine(SharedData.Conformance("tokenizers-hf")!, "llama3.tokenizer.json");
        File.Copy(source, Path.Combine(_folder, "tokenizer.json"));
        string alone = CommandLine.RunWithInput("""["Hello"]""", "tokenize", "-m", source, "--json").Output;
        alone.ShouldStartWith("[[");
        CommandLine.RunWithInput("""["Hello"]""", "tokenize", "-m", _folder, "--json").Output.ShouldBe(alone);
        File.WriteAllText(Path.Combine(_folder, "config.json"), """{"architectures":["WonderForCausalLM"]}""");
        File.Copy(Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free", "model.safetensors"), Path.Combine(_folder, "model.safetensors"));
        CommandLine.RunWithInput("""["Hello"]""", "tokenize", "-m", _folder, "--json").Output.ShouldBe(alone);
        CommandLine.RunWithInput("""["Hello"]""", "tokenize", "-m", Path.Combine(_folder, "model.safetensors"), "--json").Output.ShouldBe(alone);
    }

    [ConformanceTheory("models/SmolLM2-135M-Instruct.Q4_1.gguf")]
    [InlineData("4")]
    [InlineData("600")]
    public void An_interrupt_ends_a_long_step_with_130_and_leaves_no_file(string chunk)
    {
        string target = Path.Combine(_folder, "out.safetensors");
        using var process = CommandLine.Start("logits", "-m", SharedData.Model("SmolLM2-135M-Instruct.Q4_1.gguf")!, "--ids", string.Join(',', Enumerable.Range(0, 600)), "--chunk", chunk, "--precision", "float64", "-o", target);
        Thread.Sleep(4000);
        process.HasExited.ShouldBeFalse();
        System.Diagnostics.Process.Start("kill", ["-INT", $"{process.Id}"]).WaitForExit();
        bool ended = process.WaitForExit(30_000);
        if (!ended) process.Kill();
        ended.ShouldBeTrue("the interrupt was ignored");
        process.ExitCode.ShouldBe(130);
        process.StandardError.ReadToEnd().ShouldContain("interrupted");
        Directory.GetFiles(_folder).ShouldBeEmpty();
    }

    [Fact]
    public void Every_command_that_the_help_lists_has_a_help_of_its_own()
    {
        string help = CommandLine.Run("--help").Output;
        string[] commands = [.. help[help.IndexOf("Commands:", StringComparison.Ordinal)..].Split('\n').Skip(1).TakeWhile(l => l.StartsWith("  ", StringComparison.Ordinal)).Select(l => l.Trim().Split(' ')[0])];
        commands.ShouldContain("run");
        commands.Length.ShouldBeGreaterThan(10);
        foreach (string command in commands)
        {
            var (exitCode, output, _) = CommandLine.Run(command, "--help");
            exitCode.ShouldBe(0, command);
            output.ShouldContain($"tare {command}");
        }
    }

    [Fact]
    public void Faults_end_in_one_line_and_the_right_exit_code()
    {
        void Ends(int code, string containing, params string[] arguments)
        {
            var (exit, output, error) = CommandLine.Run(arguments);
            exit.ShouldBe(code, error);
            output.ShouldBeEmpty();
            error.TrimEnd('\n').Split('\n').Length.ShouldBe(1, error);
            error.ShouldStartWith("tare: ");
            error.ShouldContain(containing);
        }
        string target = Path.Combine(_folder, "out.safetensors");
        Ends(1, "no such file", "inspect", Path.Combine(_folder, "nothing.gguf"));
        Ends(1, "99999", "logits", "-m", Fable, "--ids", "99999", "-o", target);
        Ends(1, "is the input itself", "export", "-m", Fable, "-o", Fable);
        Ends(2, "'x' is not a token id", "logits", "-m", Fable, "--ids", "1,x", "-o", target);
        Ends(2, "rough", "logits", "-m", Fable, "--ids", "1", "--precision", "rough", "-o", target);
        Ends(2, "chunk", "logits", "-m", Fable, "--ids", "1", "--chunk", "0", "-o", target);
        Ends(2, "--frobnicate", "inspect", Fable, "--frobnicate");
        File.Exists(target).ShouldBeFalse();
        File.WriteAllText(Path.Combine(_folder, "config.json"), """{"architectures":["WonderForCausalLM"]}""");
        File.Copy(Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free", "model.safetensors"), Path.Combine(_folder, "model.safetensors"));
        Ends(1, "WonderForCausalLM", "graph", "-m", _folder);
        Ends(2, "nonsense", "nonsense");
        Ends(2, "--help");
        Ends(1, "the folder does not exist", "logits", "-m", Fable, "--ids", "1", "-o", Path.Combine(_folder, "nowhere", "out.safetensors"));
        Ends(1, "513 tokens", "logits", "-m", Fable, "--ids", string.Join(',', Enumerable.Repeat(1, 513)), "-o", target);
    }

    [Fact]
    public void The_table_of_architectures_in_the_documentation_is_the_registry()
    {
        string table = ArchitectureRegistry.Markdown();
        CommandLine.Run("models", "--markdown").Output.ShouldBe(table);
        File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "docs", "models.md")).ShouldContain(table);
    }
}
