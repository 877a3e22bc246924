using System.Text.Json;
using Tare.Formats;
using Tare.Synthesis;
using Tare.Tests.Support;

namespace Tare.Tests.Cli;

public sealed class NormCommandTests : IDisposable
{
    private static readonly string Fable = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf"), Free = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free");
    private readonly string _folder = Directory.CreateTempSubdirectory("tare-norm-").FullName;

    public void Dispose() => Directory.Delete(_folder, true);

    [Fact]
    public void Show_lists_every_norm_and_what_it_could_become()
    {
        using var json = Json("norm", "show", "-m", Fable, "--json");
        var norms = json.RootElement.GetProperty("norms").EnumerateArray().ToList();
        norms.Count.ShouldBe(13);
        norms.ShouldAllBe(n => n.GetProperty("kind").GetString() == "LayerNorm" && n.GetProperty("can_lose_mean").GetBoolean() && n.GetProperty("can_fold").GetBoolean());
        norms[^1].GetProperty("name").GetString().ShouldBe("ln_final");
        var targets = json.RootElement.GetProperty("targets");
        targets.GetProperty("crms").GetProperty("possible").GetBoolean().ShouldBeTrue();
        targets.GetProperty("none").GetProperty("reason").GetString()!.ShouldContain("scales each row by its own size");
    }

    [Fact]
    public void A_norm_of_groups_before_products_is_called_as_one_of_whole_rows()
    {
        string path = Path.Combine(_folder, "groups.gguf");
        // Heads fill the width of GPT-2, so another width and number of heads need no --head-width.
        CommandLine.Run("synth", "--like", "gpt2-124m", "--width", "96", "--heads", "6", "--layers", "1", "--vocab", "64", "--norm", "three-phase", "--type", "F32", "-o", path).ExitCode.ShouldBe(0);
        using var json = Json("norm", "show", "-m", path, "--json");
        json.RootElement.GetProperty("norms").EnumerateArray().Select(n => n.GetProperty("name").GetString()).ShouldBe(["blocks.0.ln1", "blocks.0.ln2", "ln_final"]);
    }

    [Fact]
    public void A_rewritten_file_runs_and_is_the_same_model()
    {
        string written = Path.Combine(_folder, "crms.gguf");
        using (var report = Json("norm", "rewrite", "-m", Fable, "--to", "crms", "--drop", "last", "-o", written, "--json"))
        {
            report.RootElement.GetProperty("architecture").GetString().ShouldBe("tare-graph");
            report.RootElement.GetProperty("not_llama_because").GetString().ShouldEndWith("a Llama has Norm there");
            report.RootElement.GetProperty("tensors").EnumerateArray().ShouldContain(t => t.GetProperty("touched").GetBoolean() && t.GetProperty("from").GetString() == "F16" && t.GetProperty("to").GetString() == "F32");
        }
        using var same = Json("norm", "verify", "-m", Fable, "--against", written, "--tolerance", "1e-5", "-n", "40", "--json");
        same.RootElement.GetProperty("top1_agreement").GetDouble().ShouldBe(1);
        same.RootElement.GetProperty("relative_difference").GetDouble().ShouldBeLessThan(1e-5);
        var (_, before, _) = CommandLine.Run("run", "-m", Fable, "Once upon a time", "-n", "12", "--temp", "0", "--json");
        var (code, after, error) = CommandLine.Run("run", "-m", written, "Once upon a time", "-n", "12", "--temp", "0", "--json");
        code.ShouldBe(0, error);
        Ids(after).ShouldBe(Ids(before));
        var (_, atLoad, _) = CommandLine.Run("run", "-m", Fable, "Once upon a time", "-n", "12", "--temp", "0", "--json", "--norm", "crms-isometric");
        Ids(atLoad).ShouldBe(Ids(before));
    }

    [Fact]
    public void A_quantized_input_says_what_type_each_touched_tensor_gets()
    {
        string source = Path.Combine(_folder, "neox.gguf");
        SyntheticModel.Write(source, new SyntheticShape("gptneox", 2, 64, 4, 4, 16, 96, 300, 64, false), TensorType.Q8_0, 3);
        using var report = Json("norm", "rewrite", "-m", source, "--to", "rms", "--json");
        var tensors = report.RootElement.GetProperty("tensors").EnumerateArray().ToList();
        tensors.Where(t => t.GetProperty("from").GetString() == "Q8_0" && t.GetProperty("touched").GetBoolean()).ShouldAllBe(t => t.GetProperty("to").GetString() == "F16");
        tensors.ShouldContain(t => t.GetProperty("to").GetString() == "Q8_0" && !t.GetProperty("touched").GetBoolean());
        Json("norm", "verify", "-m", source, "--to", "rms", "-n", "20", "--tolerance", "1e-5", "--json").Dispose();
    }

    [Fact]
    public void A_refusal_names_the_node_and_the_reason()
    {
        string source = Path.Combine(_folder, "llama.gguf");
        SyntheticModel.Write(source, new SyntheticShape("llama", 1, 64, 4, 4, 16, 96, 300, 64, false), TensorType.F32, 3);
        var (code, _, error) = CommandLine.Run("norm", "rewrite", "-m", source, "--to", "rms");
        code.ShouldBe(1);
        error.ShouldContain("RmsNorm blk.0.attn_norm.weight (block 0)");
        error.ShouldContain("sees the mean");
        error.Trim().ShouldNotContain('\n');
        CommandLine.Run("norm", "rewrite", "-m", source, "--to", "wonder").ExitCode.ShouldBe(2);
        CommandLine.Run("norm", "verify", "-m", source).ExitCode.ShouldBe(2);
        CommandLine.Run("norm", "rewrite", "-m", Fable, "--to", "rms", "-o", Path.Combine(_folder, "free")).Error.ShouldContain("name a .gguf file");
    }

    [Fact]
    public void Frozen_norms_can_disappear_and_cost_little_more_than_what_is_reported()
    {
        string text = Path.Combine(_folder, "text.txt"), frozen = Path.Combine(_folder, "frozen.gguf");
        File.WriteAllText(text, string.Concat(Enumerable.Repeat("Once upon a time there was a little girl who loved to play in the garden. One day she found a red ball under a tree. ", 12)));
        using var report = Json("norm", "freeze", "-m", Fable, "--calibration", text, "-c", "64", "-o", frozen, "--json");
        double before = report.RootElement.GetProperty("before").GetProperty("mean").GetDouble(), after = report.RootElement.GetProperty("after").GetProperty("mean").GetDouble();
        double.IsFinite(after).ShouldBeTrue();
        after.ShouldNotBe(before);
        foreach (string statistic in new[] { "median", "p95", "perplexity" }) report.RootElement.GetProperty("after").GetProperty(statistic).GetDouble().ShouldBeGreaterThan(0);
        var norms = report.RootElement.GetProperty("norms").EnumerateArray().ToList();
        norms.Select(n => n.GetProperty("name").GetString()).ShouldBe([.. Enumerable.Range(0, 6).SelectMany(i => new[] { $"blocks.{i}.ln1", $"blocks.{i}.ln2" }), "ln_final"]);
        norms.ShouldAllBe(n => n.GetProperty("denominators")[0].GetDouble() > 0 && !n.GetProperty("denominators")[0].GetDouble().Equals(n.GetProperty("denominators_at_position_0")[0].GetDouble()));
        using var measured = Json("perplexity", "-m", frozen, text, "-c", "64", "--precision", "exact", "--json");
        measured.RootElement.GetProperty("mean_nll").GetDouble().ShouldBe(after, 1e-6);
        using var none = Json("norm", "verify", "-m", frozen, "--to", "none", "-n", "40", "--tolerance", "1e-4", "--json");
        var (code, _, error) = CommandLine.Run("norm", "freeze", "-m", Fable, "--calibration", text, "--sites", "wonder", "-o", frozen);
        code.ShouldBe(1);
        error.ShouldContain("no norm is called 'wonder'");
    }

    private static JsonDocument Json(params string[] arguments)
    {
        var (code, output, error) = CommandLine.Run(arguments);
        code.ShouldBe(0, error + output);
        return JsonDocument.Parse(output);
    }

    private static int[] Ids(string output)
    {
        using var json = JsonDocument.Parse(output);
        return [.. json.RootElement.GetProperty("ids").EnumerateArray().Select(i => i.GetInt32())];
    }
}
