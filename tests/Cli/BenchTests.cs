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
