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
            row.GetProperty("model_n_params").GetInt64().ShouldBeGreaterThan(1_000_000);
        }
        CommandLine.Run("bench", "-m", model, "-p", "16", "-n", "0", "-r", "1").Output.ShouldContain("| pp16 |");
        CommandLine.Run("bench", "-m", model, "-p", "16", "-n", "0", "-r", "1", "-o", "csv").Output.Split('\n').Length.ShouldBeGreaterThanOrEqualTo(2);
        CommandLine.Run("bench", "-m", model, "-p", "0", "-n", "0").ExitCode.ShouldBe(2);
        CommandLine.Run("bench", "-m", model, "-p", "x").ExitCode.ShouldBe(2);
        CommandLine.Run("bench", "-m", model, "-p", "16", "-n", "0", "-r", "1", "--profile").Error.ShouldContain("Linear");
    }
}
