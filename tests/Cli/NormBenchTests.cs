using System.Text.Json;
using System.Xml.Linq;
using Tare.Diagnostics;

namespace Tare.Tests.Cli;

public sealed class NormBenchTests
{
    [Theory]
    [InlineData("kernel", "cache,memory", "--shapes", "48,70", "--mib", "1")]
    [InlineData("layer", "prefill,decode", "--shapes", "gpt2-124m", "--batch", "2", "--sequence", "3", "--generate", "2")]
    public void Every_norm_reports_finite_speed_ups_within_their_intervals(string level, string cases, params string[] options)
    {
        string chart = Path.GetTempFileName();
        try
        {
            var (code, output, error) = CommandLine.Run(["norm", "bench", "--level", level, .. options, "-t", "2", "-r", "2", "-o", "json", "--svg", chart]);
            code.ShouldBe(0, error);
            using var json = JsonDocument.Parse(output);
            var rows = json.RootElement.GetProperty("results").EnumerateArray().ToList();
            foreach (var group in rows.GroupBy(r => r.GetProperty("shape").GetString()))
                foreach (string name in cases.Split(','))
                    group.Where(r => r.GetProperty("case").GetString() == name).Select(r => r.GetProperty("norm").GetString()!).ShouldBe([.. References(level), .. NormVariants.Names], ignoreOrder: true);
            foreach (var row in rows)
            {
                row.GetProperty("level").GetString().ShouldBe(level);
                Check(row.GetProperty("against_fused"));
                if (!References(level).Contains(row.GetProperty("norm").GetString())) Check(row.GetProperty("against_naive"));
                if (level == "kernel") row.GetProperty("copy_share").GetDouble().ShouldBeGreaterThan(0);
                else if (row.GetProperty("norm_share").ValueKind == JsonValueKind.Number) row.GetProperty("norm_share").GetDouble().ShouldBeInRange(1e-9, 1);
            }
            var drawn = XDocument.Load(chart);
            drawn.Descendants().Count(e => e.Name.LocalName == "circle").ShouldBe(rows.Count + 1); // and the legend's
        }
        finally
        {
            File.Delete(chart);
        }
    }

    [Fact]
    public void A_model_is_measured_with_the_norms_that_were_asked_for_and_nonsense_is_refused()
    {
        var (code, output, error) = CommandLine.Run("norm", "bench", "--level", "layer", "--shapes", "smollm2-135m", "--norm", "rms,none", "--sequence", "2", "--generate", "1", "-r", "1", "--type", "Q8_0");
        code.ShouldBe(0, error);
        output.Split('\n').Count(l => l.StartsWith("| smollm2-135m |", StringComparison.Ordinal)).ShouldBe(6);
        CommandLine.Run("norm", "bench", "--norm", "wonder").Error.ShouldContain("wonder");
        CommandLine.Run("norm", "bench", "--level", "model", "--shapes", "qwen3-0.6b").ExitCode.ShouldBe(2);
        CommandLine.Run("norm", "bench", "-r", "0").ExitCode.ShouldBe(2);
    }

    [Fact]
    public void Speed_ups_are_ratios_of_times_and_an_interval_around_1_is_no_gain()
    {
        var slow = PairedTiming.Measure(() => Thread.Sleep(20), () => { }, 3);
        slow.Speedup.ShouldBeGreaterThan(1);
        slow.Verdict.ShouldBe("faster");
        new PairedTime(1.02, 0.99, 1.05, 1, 1).Verdict.ShouldBe("no gain");
        new PairedTime(0.9, 0.8, 0.99, 1, 1).Verdict.ShouldBe("slower");
        PairedTiming.Median([4, 1, 3, 2]).ShouldBe(2.5);
    }

    private static string[] References(string level) => level == "kernel" ? [NormBenchRow.Control, NormBenchRow.ScaleAndCopy] : [NormBenchRow.Control];

    private static void Check(JsonElement time)
    {
        double speedup = time.GetProperty("speedup").GetDouble();
        double.IsFinite(speedup).ShouldBeTrue();
        speedup.ShouldBeGreaterThan(0);
        speedup.ShouldBeInRange(time.GetProperty("low").GetDouble(), time.GetProperty("high").GetDouble());
        time.GetProperty("seconds").GetDouble().ShouldBeGreaterThan(0);
    }
}
