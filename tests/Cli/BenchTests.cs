using System.Text.Json;
using Tare.Tests.Support;

namespace Tare.Tests.Cli;

public sealed class BenchTests
{
    [Fact]
    public void Bench_prints_llama_benchs_fields_for_every_combination()
    {
        string model = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf");
        var (code, output, error) = CommandLine.Run("bench", "-m", model, "-p", "16,32", "-n", "4", "-d", "0,8", "-r", "2", "-t", "1,2", "-o", "json", "--precision", "fast");
        code.ShouldBe(0, error);
        using var json = JsonDocument.Parse(output);
        var rows = json.RootElement.EnumerateArray().ToArray();
        rows.Length.ShouldBe(12);
        foreach (var row in rows)
        {
            double tokens = row.GetProperty("n_prompt").GetInt32() + row.GetProperty("n_gen").GetInt32();
            row.GetProperty("samples_ns").GetArrayLength().ShouldBe(2);
            foreach (var (ns, speed) in row.GetProperty("samples_ns").EnumerateArray().Zip(row.GetProperty("samples_ts").EnumerateArray())) (tokens / ns.GetInt64() * 1e9).ShouldBe(speed.GetDouble(), speed.GetDouble() * 1e-3);
            row.GetProperty("roof_share").GetDouble().ShouldBeGreaterThan(0);
            row.GetProperty("model_n_params").GetInt64().ShouldBeGreaterThan(1_000_000);
            row.GetProperty("type_k").GetString().ShouldBe("f16"); // the fast precision's
            row.GetProperty("kv_bytes").GetInt64().ShouldBeGreaterThan(0);
        }
        long Cache(params string[] types)
        {
            using var row = JsonDocument.Parse(CommandLine.Run(["bench", "-m", model, "-p", "64", "-n", "0", "-r", "1", "-o", "jsonl", .. types]).Output);
            (row.RootElement.GetProperty("type_k").GetString(), row.RootElement.GetProperty("type_v").GetString()).ShouldBe(types.Length == 0 ? ("f16", "f16") : (types[1], types[3]));
            return row.RootElement.GetProperty("kv_bytes").GetInt64();
        }
        Cache().ShouldBeGreaterThan(0);
        long wide = Cache("-ctk", "f32", "-ctv", "f32");
        Cache("-ctk", "f16", "-ctv", "f16").ShouldBe(wide / 2);
        Cache("--cache-type-k", "q8_0", "--cache-type-v", "f32").ShouldBe(wide / 2 + wide / 2 * 34 / 128);
        CommandLine.Run("bench", "-m", model, "-ctk", "q3").ExitCode.ShouldBe(2);
        CommandLine.Run("bench", "-m", model, "-p", "16", "-n", "0", "-r", "1").Output.ShouldContain("| pp16 |");
        CommandLine.Run("bench", "-m", model, "-p", "16", "-n", "0", "-r", "1", "-o", "csv").Output.Split('\n').Length.ShouldBeGreaterThanOrEqualTo(2);
        CommandLine.Run("bench", "-m", model, "-p", "0", "-n", "0").ExitCode.ShouldBe(2);
        CommandLine.Run("bench").ExitCode.ShouldBe(2);
        CommandLine.Run("bench", "-m", model, "-p", "8-32*2", "-n", "0", "-d", "0-16+16", "-r", "1", "-o", "jsonl").Output.Trim().Split('\n').Length.ShouldBe(6);
        CommandLine.Run("bench", "-m", model, "-p", "32-8").ExitCode.ShouldBe(2);
        CommandLine.Run("bench", "-m", model, "-p", "x").ExitCode.ShouldBe(2);
        CommandLine.Run("bench", "-m", model, "-p", "16", "-n", "0", "-r", "1", "--profile").Error.ShouldContain("Linear");
    }

    [Fact]
    public void Bench_crosses_models_and_times_a_prompt_and_its_answer_together()
    {
        string first = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf"), second = Path.Combine(Path.GetTempPath(), $"tare-bench-{Guid.NewGuid():n}.gguf");
        CommandLine.Run("synth", "--like", "smollm2-135m", "--layers", "1", "--vocab", "300", "--type", "Q4_0", "-o", second).ExitCode.ShouldBe(0);
        try
        {
            var (code, output, error) = CommandLine.Run("bench", "-m", first, "-m", second, "-p", "8", "-n", "4", "-pg", "16,4", "-r", "1", "-t", "1,2", "--no-roofs", "-o", "json");
            code.ShouldBe(0, error);
            using var json = JsonDocument.Parse(output);
            var rows = json.RootElement.EnumerateArray().ToArray();
            rows.Select(r => (r.GetProperty("model_filename").GetString(), r.GetProperty("n_threads").GetInt32(), r.GetProperty("n_prompt").GetInt32(), r.GetProperty("n_gen").GetInt32()))
                .ShouldBe(from model in new[] { first, second } from threads in new[] { 1, 2 } from test in new[] { (8, 0), (0, 4), (16, 4) } select ((string?)model, threads, test.Item1, test.Item2));
            foreach (var row in rows)
            {
                row.GetProperty("read_roof_gb_per_s").ValueKind.ShouldBe(JsonValueKind.Null);
                row.GetProperty("roof_share").ValueKind.ShouldBe(JsonValueKind.Null);
                double tokens = row.GetProperty("n_prompt").GetInt32() + row.GetProperty("n_gen").GetInt32();
                (tokens / row.GetProperty("samples_ns")[0].GetInt64() * 1e9).ShouldBe(row.GetProperty("avg_ts").GetDouble(), row.GetProperty("avg_ts").GetDouble() * 1e-3);
            }
            CommandLine.Run("bench", "-m", $"{first},{second}", "-p", "0", "-n", "0", "-pg", "8,2", "-r", "1", "--no-roofs").Output.ShouldContain("| pp8+tg2 |");
            foreach (string wrong in new[] { "8", "8,0", "x,1", "8,1,2" }) CommandLine.Run("bench", "-m", first, "-pg", wrong).ExitCode.ShouldBe(2, wrong);
        }
        finally
        {
            File.Delete(second);
        }
    }

    [Fact]
    public void A_bench_that_reads_its_tests_answers_each_line_and_refuses_what_it_made_no_room_for()
    {
        string model = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf");
        string[] command = ["bench", "-m", model, "-t", "1", "--stdin", "-p", "16", "-n", "4", "-d", "8"];
        var (code, output, error) = CommandLine.RunWithInput("{\"n_prompt\":16}\n{\"n_gen\":4,\"n_depth\":8,\"repetitions\":3}\n{\"n_prompt\":16}\n", command);
        code.ShouldBe(0, error);
        var answers = output.Trim().Split('\n').Select(l => JsonDocument.Parse(l).RootElement).ToArray();
        answers.Length.ShouldBe(4);
        answers[0].GetProperty("n_threads").GetInt32().ShouldBe(1);
        answers[1..].Select(a => (a.GetProperty("n_prompt").GetInt32(), a.GetProperty("n_gen").GetInt32(), a.GetProperty("n_depth").GetInt32(), a.GetProperty("samples_ns").GetArrayLength())).ShouldBe([(16, 0, 0, 1), (0, 4, 8, 3), (16, 0, 0, 1)]);
        foreach (var answer in answers[1..]) answer.GetProperty("samples_ns").EnumerateArray().ShouldAllBe(s => s.GetInt64() > 0);
        foreach (string wrong in new[] { "{\"n_prompt\":17}", "{\"n_gen\":1,\"n_depth\":9}", "{}", "x", "{\"n_prompt\":-1,\"n_gen\":4}", "{\"n_prompt\":1,\"repetitions\":0}", "null" })
            CommandLine.RunWithInput(wrong + "\n", command).ExitCode.ShouldBe(2, wrong);
        CommandLine.Run([.. command, "-m", model]).ExitCode.ShouldBe(2);
    }

    [Fact]
    public void The_roofline_measures_memory_arithmetic_and_every_packed_type()
    {
        var (code, output, error) = CommandLine.Run("bench", "--roofline", "-t", "1", "-o", "json");
        code.ShouldBe(0, error);
        using var json = JsonDocument.Parse(output);
        foreach (string key in new[] { "read_gb_per_s", "f32_gop_per_s", "int8_gop_per_s", "int16_gop_per_s" }) json.RootElement.GetProperty(key).GetDouble().ShouldBeGreaterThan(0);
        var kernels = json.RootElement.GetProperty("kernels").EnumerateArray().ToArray();
        foreach (string type in new[] { "F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "MXFP4" })
        {
            kernels.Count(k => k.GetProperty("type").GetString() == type && k.GetProperty("arithmetic").GetString() == "f32").ShouldBe(2, type);
            if (type is not ("F32" or "F16" or "BF16")) kernels.Count(k => k.GetProperty("type").GetString() == type && k.GetProperty("arithmetic").GetString() == "int16").ShouldBe(2, type);
        }
        foreach (var kernel in kernels) kernel.GetProperty("gop_per_s").GetDouble().ShouldBeGreaterThan(0);
        CommandLine.Run("bench", "--roofline", "-t", "0").ExitCode.ShouldBe(2);
    }
}
