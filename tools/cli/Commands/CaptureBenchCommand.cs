using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Tare.Capture;
using Tare.Diagnostics;
using Tare.Formats;
using Tare.Models;

namespace Tare.Cli.Commands;

/// <summary><c>tare capture bench</c>: what a capture costs, in turns with the same program without it.</summary>
internal static class CaptureBenchCommand
{
    public static Command Create()
    {
        Option<string> model = SharedOptions.Model(), precision = SharedOptions.Precision();
        Option<int> prompt = new("-p", "--n-prompt") { Description = "Prompt length; 0 = none.", DefaultValueFactory = _ => 128 }, generate = new("-n", "--n-gen") { Description = "Tokens to generate; 0 = none.", DefaultValueFactory = _ => 32 },
            depth = new("-d", "--n-depth") { Description = "Cached tokens before." }, rounds = new("-r", "--rounds") { Description = "Rounds of off on on off.", DefaultValueFactory = _ => 15 };
        var sites = new Option<string>("--sites") { Description = "Sites.", DefaultValueFactory = _ => SiteNames.Stream };
        Option<bool> channels = new("--channels") { Description = "Statistics of every channel too." }, raw = new("--raw") { Description = "The rows themselves, collected and not written." };
        Option<string?> keyType = SharedOptions.KeyType(), valueType = SharedOptions.ValueType(), norm = SharedOptions.Norm();
        var json = SharedOptions.Json();
        var threads = SharedOptions.Threads();
        var command = new Command("bench", "Measure what a capture costs.") { model, prompt, generate, depth, rounds, sites, channels, raw, precision, keyType, valueType, norm, threads, json };
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            int p = arguments.GetValue(prompt), n = arguments.GetValue(generate), d = arguments.GetValue(depth);
            if (p < 0 || n < 0 || d < 0 || p + n == 0 || arguments.GetValue(rounds) < 2) throw new UsageException("bench: give -p or -n, and at least 2 rounds");
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            var graph = SharedOptions.Graph(arguments.GetValue(precision)!, SharedOptions.WithNorms(ArchitectureRegistry.Build(file), arguments.GetValue(norm)), arguments.GetValue(keyType), arguments.GetValue(valueType));
            using var backend = SharedOptions.Backend(arguments.GetValue(precision)!, arguments.GetValue(threads));
            using var weights = backend.CreateWeightStore();
            if (arguments.GetValue(raw) && arguments.GetValue(channels)) throw new UsageException("bench: --channels belongs to statistics");
            var spec = arguments.GetValue(raw) ? new CaptureSpec { Rows = arguments.GetValue(sites) } : new CaptureSpec { Statistics = arguments.GetValue(sites), Channels = arguments.GetValue(channels) };
            using var bench = new CaptureOverhead(backend, graph, weights, spec, d + Math.Max(p, n));
            foreach (var test in new[] { new ThroughputTest(p, 0, d), new ThroughputTest(0, n, d) }.Where(t => t.Prompt + t.Generate > 0))
            {
                var report = bench.Run(test, arguments.GetValue(rounds), new Report($"{test}"), cancel);
                Progress.End();
                if (arguments.GetValue(json)) Console.Out.WriteLine(JsonSerializer.Serialize(new { test = $"{test}", outputs = bench.Outputs, pairs = report.Pairs, tokens_per_second = report.TokensPerSecond, overhead = report.Overhead, control = report.Control, processor_overhead = report.ProcessorOverhead, processor_control = report.ProcessorControl }));
                else Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{test}: {bench.Outputs} outputs a token, {report.TokensPerSecond:F1} t/s without; overhead {Show(report.Overhead)}, off against off {Show(report.Control)}; processor time {Show(report.ProcessorOverhead)}, off against off {Show(report.ProcessorControl)}; {report.Pairs} pairs"));
            }
            return 0;
        }));
        return command;
    }

    private static string Show(Change change) => string.Create(CultureInfo.InvariantCulture, $"{100 * change.Median:F2} % [{100 * change.Low:F2}, {100 * change.High:F2}]");

    private sealed class Report(string test) : IProgress<(int Done, int Total)>
    {
        void IProgress<(int Done, int Total)>.Report((int Done, int Total) value) => Progress.Show(test, value.Done, value.Total);
    }
}
