using System.Text.Json;
using Tare.Tests.Support;

namespace Tare.Tests.Cli;

/// <summary><c>tare run</c>, <c>perplexity</c> and <c>doctor</c> as a user calls them.</summary>
public sealed class RunTests
{
    [Fact]
    public void A_story_comes_from_the_bundled_model()
    {
        var (code, output, error) = CommandLine.Run("run", "Once upon a time", "-n", "20", "-s", "1");
        code.ShouldBe(0, error);
        output.ShouldStartWith("Once upon a time");
        output.Length.ShouldBeGreaterThan(30);
        error.ShouldContain("20 generated");
        CommandLine.Run("run", "Once upon a time", "-n", "20", "-s", "1").Output.ShouldBe(output);
        CommandLine.Run("run", "Once upon a time", "-n", "20", "-s", "2").Output.ShouldNotBe(output);
        CommandLine.RunWithInput("Once upon a time", "run", "-", "-n", "20", "-s", "1", "-t", "1", "--no-mmap").Output.ShouldBe(output);
        CommandLine.Run("run", "-p", "Once upon a time", "-n", "20", "-s", "1", "--no-display-prompt").Output.ShouldBe(output["Once upon a time".Length..]);
    }

    [ConformanceFact("fable")]
    public void The_json_form_has_ids_text_reason_and_timings()
    {
        using var expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(SharedData.Conformance("fable")!, "fable-ln.json")));
        var prompt = expected.RootElement.GetProperty("prompts")[0];
        foreach (string precision in new[] { "exact", "float64" })
        {
            var (code, output, error) = CommandLine.Run("run", prompt.GetProperty("text").GetString()!, "-n", "16", "--temp", "0", "--ignore-eos", "--json", "--precision", precision);
            code.ShouldBe(0, error);
            using var json = JsonDocument.Parse(output);
            json.RootElement.GetProperty("prompt_ids").GetRawText().ShouldBe(prompt.GetProperty("ids").GetRawText().Replace(" ", "").Replace("\n", ""));
            json.RootElement.GetProperty("ids").EnumerateArray().Select(i => i.GetInt32()).ShouldBe(prompt.GetProperty("greedy").GetProperty("ids").EnumerateArray().Take(16).Select(i => i.GetInt32()));
            json.RootElement.GetProperty("text").GetString()!.ShouldStartWith(" there was a king");
            json.RootElement.GetProperty("finish_reason").GetString().ShouldBe("length");
            json.RootElement.GetProperty("timings").GetProperty("generated_tokens").GetInt32().ShouldBe(16);
        }
    }

    [Fact]
    public void Stops_contexts_and_wrong_options_end_as_they_should()
    {
        var stopped = CommandLine.Run("run", "Once upon a time", "--temp", "0", "-r", "king", "--json");
        using (var json = JsonDocument.Parse(stopped.Output))
        {
            json.RootElement.GetProperty("finish_reason").GetString().ShouldBe("stop");
            json.RootElement.GetProperty("text").GetString().ShouldBe(" there was a ");
        }
        var full = CommandLine.Run("run", "Once upon a time", "-c", "12", "-n", "50", "--ignore-eos");
        full.ExitCode.ShouldBe(1);
        full.Error.ShouldContain("context of 12 tokens is full");
        var long_ = CommandLine.Run("run", "Once upon a time there was", "-c", "5");
        long_.ExitCode.ShouldBe(1);
        long_.Error.ShouldContain("does not fit a context of 5");
        CommandLine.Run("run", "a", "-c", "100000").Error.ShouldContain("positions");
        foreach (string[] wrong in new[] { new[] { "-n", "0" }, ["--temp", "-1"], ["--top-p", "2"], ["--precision", "rough"], ["-ctk", "f8"], ["--cache-type-v", "q4_0"], ["-t", "0"] })
        {
            var (code, output, error) = CommandLine.Run(["run", "a", .. wrong]);
            code.ShouldBe(2, string.Join(' ', wrong));
            output.ShouldBeEmpty();
            error.TrimEnd().Split('\n').Length.ShouldBe(1);
        }
    }

    [Fact]
    public void An_interrupt_keeps_the_text_so_far_and_ends_with_130()
    {
        using var process = CommandLine.Start("run", "Once upon a time", "--ignore-eos", "--precision", "float64");
        var buffer = new char[64];
        int read = process.StandardOutput.Read(buffer);
        read.ShouldBeGreaterThan(0);
        Thread.Sleep(1500);
        System.Diagnostics.Process.Start("kill", ["-INT", $"{process.Id}"]).WaitForExit();
        bool ended = process.WaitForExit(30_000);
        if (!ended) process.Kill();
        ended.ShouldBeTrue("the interrupt was ignored");
        process.ExitCode.ShouldBe(130);
    }

    [Fact]
    public void Perplexity_prints_a_table_or_json()
    {
        string text = Path.GetTempFileName();
        try
        {
            File.WriteAllText(text, string.Join(' ', Enumerable.Repeat("The king had a son who went into the forest.", 30)));
            string model = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf");
            var (code, output, error) = CommandLine.Run("perplexity", "-m", model, text, "--context", "64", "--precision", "exact", "--json");
            code.ShouldBe(0, error);
            using var json = JsonDocument.Parse(output);
            int windows = json.RootElement.GetProperty("windows").GetInt32();
            windows.ShouldBeGreaterThan(2);
            json.RootElement.GetProperty("scored").GetInt32().ShouldBe(windows * 63);
            json.RootElement.GetProperty("last_half").GetProperty("scored").GetInt32().ShouldBe(windows * 31);
            json.RootElement.GetProperty("perplexity").GetDouble().ShouldBe(Math.Exp(json.RootElement.GetProperty("mean_nll").GetDouble()), 1e-9);
            foreach (string name in new[] { "median_nll", "p95_nll" }) json.RootElement.GetProperty(name).GetDouble().ShouldBeGreaterThan(0);
            CommandLine.Run("perplexity", "-m", model, text, "-c", "64").Output.ShouldContain("perplexity");
            using var compared = JsonDocument.Parse(CommandLine.Run("perplexity", "-m", model, text, "-c", "64", "--precision", "fast", "--compare", "exact", "--json").Output);
            compared.RootElement.GetProperty("positions").GetInt32().ShouldBe(windows * 63);
            compared.RootElement.GetProperty("kl").GetProperty("max").GetDouble().ShouldBeInRange(0, 0.01);
            compared.RootElement.GetProperty("reference").GetProperty("perplexity").GetDouble().ShouldBe(json.RootElement.GetProperty("perplexity").GetDouble(), 1e-6);
            CommandLine.Run("perplexity", "-m", model, text, "-c", "64", "--compare", Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free")).Output.ShouldContain("same most probable token");
            CommandLine.Run("perplexity", "-m", model, text, "-c", "64", "--compare", "precise").ExitCode.ShouldBe(1);
            CommandLine.Run("perplexity", "-m", model, text, "-c", "512").Error.ShouldContain("a window needs");
        }
        finally
        {
            File.Delete(text);
        }
    }

    [Fact]
    public void Doctor_lists_every_op_and_type_for_every_backend()
    {
        using var json = JsonDocument.Parse(CommandLine.Run("doctor", "--json").Output);
        var rows = json.RootElement.GetProperty("table").EnumerateArray().ToArray();
        rows.Select(r => r.GetProperty("op").GetString()).Distinct().Count().ShouldBeGreaterThan(20);
        rows.Count(r => r.GetProperty("op").GetString() == "Linear").ShouldBeGreaterThan(26);
        foreach (var row in rows)
            foreach (string backend in new[] { "Cpu", "Reference" }) row.GetProperty("backends").GetProperty(backend).GetBoolean().ShouldBeTrue();
        CommandLine.Run("doctor").Output.ShouldContain("Attention");
    }

    [Fact]
    public void Tokenizing_takes_a_tokenizer_json()
    {
        string path = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free", "tokenizer.json");
        CommandLine.RunWithInput("[\"Once upon a time\"]", "tokenize", "-m", path, "--json").Output.Trim().ShouldBe("[[0,2719,693,259,523]]");
        CommandLine.RunWithInput("[[0,2719,693,259,523]]", "detokenize", "-m", path, "--json", "--skip-special").Output.Trim().ShouldBe("[\"Once upon a time\"]");
    }
}
