using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using Tare.Capture.Editing;
using Tare.Formats;
using Tare.Formats.Safetensors;
using Tare.Tests.Support;

namespace Tare.Tests.Cli;

/// <summary>Edits as a user asks for them: from texts to statistics to a vector to another story; patches, means, control vectors, and edits of rewritten models.</summary>
public sealed class EditCommandTests : IDisposable
{
    private static readonly string Fable = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf");
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-edit-command-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [Fact]
    public void Texts_become_a_vector_and_the_vector_changes_the_story()
    {
        File.WriteAllText(In("happy.txt"), "The happy girl laughed. She was so happy and glad. They all smiled and played and were happy.");
        File.WriteAllText(In("sad.txt"), "The sad girl cried. She was so sad and lonely. They all wept and frowned and were sad.");
        foreach (string mood in new[] { "happy", "sad" })
        {
            Run("capture", "-m", Fable, In($"{mood}.txt"), "--channels", "-o", In(mood));
            Run("capture", "merge", In(mood), "-o", In($"{mood}.safetensors"));
        }
        Run("capture", "vector", In("happy.safetensors"), In("sad.safetensors"), "-o", In("mood.gguf"));
        Run("capture", "vector", In("happy.safetensors"), In("sad.safetensors"), "-o", In("mood.safetensors"));
        var vector = ControlVector.Read(In("mood.gguf"));
        using (var file = ModelFile.Open(In("mood.safetensors")))
        {
            file.TryGetTensor("blocks.1.hook_resid_post", out var measured).ShouldBeTrue();
            measured!.ToArray().ShouldBe([.. vector.Directions[2]]);
        }
        string plain = Story();
        string steered = Story("--control-vector", $"{In("mood.gguf")}:3");
        steered.ShouldNotBe(plain);
        Story("--control-vector-scaled", $"{In("mood.gguf")}:3").ShouldBe(steered);
        Story("--control-vector", In("mood.gguf"), "--control-vector", $"{In("mood.gguf")}:-1").ShouldBe(plain); // v − v
        Story("--control-vector", $"{In("mood.gguf")}:0").ShouldBe(plain);
        string last = $"{vector.Directions.Keys.Last()}";
        string ranged = Story("--control-vector", $"{In("mood.gguf")}:20", "--control-vector-layer-range", $"{last},{last}");
        ranged.ShouldNotBe(plain);
        Story("--control-vector", $"{In("mood.gguf")}:20", "--control-vector-layer-range", last, last).ShouldBe(ranged);
        Story("--edit", $"add:blocks.{last}.hook_resid_post:{In("mood.gguf")}:20").ShouldBe(ranged);
        Story("--edit", $"mean:blocks.*.hook_mlp_out:{In("sad.safetensors")}:phase=generated").ShouldNotBe(plain);
        CommandLine.Run("run", "x", "--control-vector", In("mood.gguf"), "--control-vector-layer-range", "90,99").Error.ShouldContain("90");
        CommandLine.Run("run", "x", "--control-vector-layer-range", "1,2").ExitCode.ShouldBe(2);
        CommandLine.Run("run", "x", "--control-vector", In("mood.gguf"), "--control-vector-layer-range", "two").ExitCode.ShouldBe(2);
        CommandLine.Run("run", "x", "--control-vector", Fable).Error.ShouldContain("controlvector");
    }

    [Fact]
    public void Patching_the_stream_from_another_run_gives_the_other_runs_logits()
    {
        File.WriteAllText(In("texts.jsonl"), """{"ids": [5, 6, 7]}""" + "\n" + """{"ids": [40, 41, 42, 43, 44]}""");
        Run("capture", "-m", Fable, In("texts.jsonl"), "--raw", "--sites", "blocks.0.hook_resid_post,blocks.1.attn.hook_z", "-o", In("rows"));
        float[] other = Logits("40,41,42,43,44"), plain = Logits("5,6,7,8,9");
        Logits("5,6,7,8,9", "--edit", $"patch:blocks.0.hook_resid_post:{In("rows")}:sequence=1").ShouldBe(other);
        Logits("5,6,7,8,9", "--edit", $"patch:blocks.0.hook_resid_post:{Directory.GetFiles(In("rows"), "chunk-*").Single()}:sequence=0").ShouldBe(plain); // the same tokens at the same positions
        float[] heads = Logits("5,6,7,8,9", "--edit", $"patch:blocks.1.attn.hook_z:{In("rows")}:sequence=1:heads=0");
        heads.ShouldNotBe(plain);
        File.WriteAllText(In("edits.json"), """[{"action": "patch", "sites": "blocks.1.attn.hook_z", "file": "rows", "sequence": 1, "heads": [0]}]""");
        Logits("5,6,7,8,9", "--edit", In("edits.json")).ShouldBe(heads);
        CommandLine.Run("logits", "-m", Fable, "--ids", "1", "-o", In("x.safetensors"), "--edit", $"patch:blocks.0.hook_resid_post:{In("rows")}:sequence=7").Error.ShouldContain("sequences: 0, 1");
        CommandLine.Run("logits", "-m", Fable, "--ids", "1", "-o", In("x.safetensors"), "--edit", $"patch:blocks.2.hook_resid_post:{In("rows")}").Error.ShouldContain("blocks.2.hook_resid_post");
    }

    [Fact]
    public void A_capture_sees_edited_rows_and_those_before_and_says_so_in_its_manifest()
    {
        File.WriteAllText(In("texts.jsonl"), """{"ids": [5, 6, 7, 8]}""");
        string[] capture = ["capture", "-m", Fable, In("texts.jsonl"), "--raw", "--sites", "blocks.0.hook_mlp_out,blocks.0.hook_mlp_out@before", "-o"];
        Run([.. capture, In("plain")]);
        Run([.. capture, In("edited"), "--edit", "scale:blocks.0.hook_mlp_out:3:positions=-1"]);
        float[] plain = Tensor(In("plain"), "blocks.0.hook_mlp_out"), before = Tensor(In("edited"), "blocks.0.hook_mlp_out@before"), after = Tensor(In("edited"), "blocks.0.hook_mlp_out");
        before.ShouldBe(plain);
        Tensor(In("plain"), "blocks.0.hook_mlp_out@before").ShouldBe(plain);
        int width = plain.Length / 4;
        after[..(3 * width)].ShouldBe(plain[..(3 * width)]);
        after[(3 * width)..].ShouldBe(Array.ConvertAll(plain[(3 * width)..], x => 3 * x));
        CommandLine.Run([.. capture, In("plain"), "--edit", "zero:hook_embed"]).Error.ShouldContain("edits is");

        float[] Tensor(string folder, string name)
        {
            using var file = ModelFile.Open(Directory.GetFiles(folder, "chunk-*").Single());
            file.TryGetTensor(name, out var tensor).ShouldBeTrue(name);
            return tensor!.ToArray();
        }
    }

    [Fact]
    public void Edits_stay_in_the_files_coordinates_when_the_norms_are_rewritten()
    {
        float[] vector = [.. Enumerable.Range(0, 256).Select(i => MathF.Sin(i) + 0.5f)];
        SafetensorsWriter.Write(In("v.safetensors"), [new TensorToWrite("v", TensorType.F32, [256], stream => stream.Write(MemoryMarshal.AsBytes<float>(vector)))]);
        string edit = $"add:blocks.*.hook_resid_post:{In("v.safetensors")}:0.8";
        float[] expected = Logits("5,6,7,8,9", "--edit", edit), plain = Logits("5,6,7,8,9");
        foreach (string norm in new[] { "rms", "crms", "crms-isometric" })
        {
            Largest(Logits("5,6,7,8,9", "--edit", edit, "--norm", norm), expected).ShouldBeLessThan(2e-5 * Largest(expected, new float[expected.Length]), norm);
            Largest(expected, plain).ShouldBeGreaterThan(0.5);
        }
        var refused = CommandLine.Run("run", "x", "-n", "2", "--norm", "crms", "--edit", edit.Replace("add:", "add-matched:", StringComparison.Ordinal));
        (refused.ExitCode, refused.Error.Contains("coordinates", StringComparison.Ordinal)).ShouldBe((1, true), refused.Error);

        static double Largest(float[] a, float[] b) => a.Zip(b, (x, y) => Math.Abs((double)x - y)).Max();
    }

    [Fact]
    public void Perplexity_takes_edits_and_compares_them_with_the_model_itself()
    {
        File.WriteAllText(In("text.txt"), string.Concat(Enumerable.Repeat("Once upon a time there was a little girl who had a red ball. ", 6)));
        double Value(string pointer, params string[] more)
        {
            using var json = JsonDocument.Parse(Run(["perplexity", "-m", Fable, In("text.txt"), "-c", "32", "--json", "--precision", "exact", .. more]));
            return pointer == "kl" ? json.RootElement.GetProperty("kl").GetProperty("mean").GetDouble() : json.RootElement.GetProperty("perplexity").GetDouble();
        }
        double plain = Value("perplexity");
        Value("perplexity", "--edit", "zero:blocks.*.hook_attn_out").ShouldBeGreaterThan(1.2 * plain);
        Value("perplexity", "--edit", "zero:blocks.*.hook_attn_out:0").ShouldBe(plain);
        Value("kl", "--compare", "exact", "--edit", "zero:blocks.1.hook_attn_out").ShouldBeGreaterThan(0.001);
        Value("kl", "--compare", "exact").ShouldBe(0);
    }

    [Fact]
    public void Embeddings_are_those_of_the_edited_model()
    {
        const string Text = "Once upon a time";
        string edit = "scale:blocks.1.hook_mlp_out:-2:positions=1..";
        string[] embed = ["embed", "-m", Fable, "--pooling", "last", "--no-normalize"];
        float[][] plain = Embed(), edited = Embed("--edit", edit);
        Embed("--edit", $"{edit}:strength=0").ShouldBe(plain);
        edited[1].ShouldBe(edited[0]); // the same text beside another length of company
        string output = In("hidden.safetensors");
        foreach (var (expected, more) in new[] { (plain, Array.Empty<string>()), (edited, ["--edit", edit]) })
        {
            Run(["logits", "-m", Fable, "--text", Text, "--hidden", "--precision", "exact", "-o", output, .. more]);
            using var file = ModelFile.Open(output);
            file.TryGetTensor("hidden_states", out var states).ShouldBeTrue();
            states!.ToArray()[^expected[0].Length..].ShouldBe(expected[0]);
        }
        edited[0].ShouldNotBe(plain[0]);
        CommandLine.Run([.. embed, "--edit", "zero:blocks.99.hook_mlp_out"]).Error.ShouldContain("blocks.99");

        float[][] Embed(params string[] more)
        {
            var (code, result, error) = CommandLine.RunWithInput(JsonSerializer.Serialize(new[] { Text, Text, "A long road led them home" }), [.. embed, .. more]);
            code.ShouldBe(0, error);
            return JsonSerializer.Deserialize<float[][]>(result)!;
        }
    }

    [Fact]
    public void Speed_is_measured_with_edits_and_the_result_names_them()
    {
        string[] bench = ["bench", "-m", Fable, "-p", "4", "-n", "2", "-r", "1", "-t", "1", "--no-roofs"];
        var (code, output, error) = CommandLine.Run([.. bench, "-o", "json", "--profile", "--edit", "scale:blocks.*.attn.hook_z:2"]);
        code.ShouldBe(0, error);
        Regex.Count(error, @"Edit +6 ").ShouldBe(2, error); // one in each of six blocks, no part of another kernel there; for the prompt and for generated tokens
        using (var json = JsonDocument.Parse(output)) json.RootElement[0].GetProperty("edits").GetString().ShouldBe("--edit scale:blocks.*.attn.hook_z:2");
        Run([.. bench, "--edit", "zero:hook_embed"]).ShouldContain("| pp4 edited |");
        Run(bench).ShouldNotContain("edited");
        CommandLine.Run([.. bench, "--edit", "zero:hook_embad"]).Error.ShouldContain("hook_embed");
    }

    [Fact]
    public void A_rewrite_is_verified_with_the_same_edits_on_both_sides()
    {
        float[] vector = [.. Enumerable.Range(0, 256).Select(i => MathF.Sin(i) + 0.5f)];
        SafetensorsWriter.Write(In("v.safetensors"), [new TensorToWrite("v", TensorType.F32, [256], stream => stream.Write(MemoryMarshal.AsBytes<float>(vector)))]);
        string add = $"add:blocks.2.hook_resid_post:{In("v.safetensors")}:0.8";
        string plain = Run("norm", "verify", "-m", Fable, "--to", "crms", "-n", "40", "--json"), edited = Run("norm", "verify", "-m", Fable, "--to", "crms", "-n", "40", "--json", "--edit", add);
        double plainMean = Value(plain, "mean_over_rms_before", 3), editedMean = Value(edited, "mean_over_rms_before", 3);
        editedMean.ShouldBeGreaterThan(2 * plainMean); // the vector has a mean
        Value(edited, "relative_difference").ShouldBeInRange(1e-12, 3e-5);
        // Without --to both are files in coordinates of their own.
        Value(Run("norm", "verify", "-m", Fable, "--against", Fable, "-n", "40", "--json", "--edit", add), "relative_difference").ShouldBe(0);
        CommandLine.Run("norm", "verify", "-m", Fable, "--to", "rms", "--edit", add.Replace("add:", "add-matched:", StringComparison.Ordinal)).Error.ShouldContain("coordinates");

        static double Value(string text, string name, int index = -1)
        {
            using var json = JsonDocument.Parse(text);
            var value = json.RootElement.GetProperty(name);
            return index < 0 ? value.GetDouble() : value[index].GetDouble();
        }
    }

    [Fact]
    public void Wrong_edits_are_one_clear_line()
    {
        foreach (var (edit, reason) in new[] { ("zero:blocks.0.hook_resid_pots", "nearest: blocks.0.hook_resid_post"), ("zero:blocks.0.ln1.hook_scale", "not edited"), ("zero:blocks.0.attn.hook_z:heads=99", "head 99"), ("add:hook_embed:none.safetensors", "none.safetensors"), ("edits-that-are-not-there.json", "edits-that-are-not-there.json"), ("zero", "ACTION:SITES") })
        {
            var (code, output, error) = CommandLine.Run("run", "x", "-n", "1", "--edit", edit);
            (code, output).ShouldBe((1, ""), edit);
            error.Trim().Split('\n')[^1].ShouldContain(reason, Case.Sensitive, edit);
        }
        CommandLine.Run("run", "--help").Output.ShouldContain("--edit");
    }

    private string In(string name) => Path.Combine(_folder, name);

    private static string Story(params string[] more) => Run(["run", "Once upon a time", "-n", "24", "--temp", "0", "--ignore-eos", "--precision", "exact", .. more]);

    private float[] Logits(string ids, params string[] more)
    {
        string output = In($"logits-{Guid.NewGuid():n}.safetensors");
        Run(["logits", "-m", Fable, "--ids", ids, "--precision", "exact", "-o", output, .. more]);
        using var file = ModelFile.Open(output);
        return file.Tensors.Single(t => t.Name == "logits").ToArray();
    }

    private static string Run(params string[] arguments)
    {
        var (code, output, error) = CommandLine.Run(arguments);
        code.ShouldBe(0, error);
        return output;
    }
}
