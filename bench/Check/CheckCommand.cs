using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Tare.Backends.Cpu;

namespace Tare.Bench.Check;

/// <summary><c>check</c>: measures the ratios again and fails where one fell below what is recorded for this kind of machine.</summary>
internal static class CheckCommand
{
    private const double MostOthers = 0.1; // processors used by other programs

    public static Command Create()
    {
        var record = new Option<bool>("--record") { Description = "Write what was measured as the new record of this kind of machine." };
        var file = new Option<string>("--recorded") { Description = "The file of records.", DefaultValueFactory = _ => Path.Combine(RepositoryRoot.Path, "bench", "recorded.json") };
        var only = new Option<string>("--only") { Description = "Only groups whose name contains this: model Q4_0, model Q8_0, model F16, paths, capture, norms, kernels.", DefaultValueFactory = _ => "" };
        var threads = new Option<int>("-t", "--threads") { Description = "Threads that compute.", DefaultValueFactory = _ => Environment.ProcessorCount };
        var rounds = new Option<int>("--rounds") { Description = "Rounds of each ratio.", DefaultValueFactory = _ => 7 };
        var slack = new Option<double>("--slack") { Description = "What a ratio may lose beyond both intervals, as a part of it.", DefaultValueFactory = _ => 0.05 };
        var command = new Command("check", "Measure ratios again and compare them with the recorded ones.") { record, file, only, threads, rounds, slack };
        command.SetAction(arguments =>
        {
            int count = arguments.GetValue(threads);
            using var backend = new CpuBackend(count);
            string machine = $"{backend.Device.Name}, {backend.Device.Features}, {count} threads", path = arguments.GetValue(file)!;
            var recorded = RecordedRatios.Read(path);
            bool recording = arguments.GetValue(record);
            if (!recording && !recorded.Knows(machine))
            {
                Console.Error.WriteLine($"check: {path} has no record of {machine}; make one with --record");
                return 2;
            }
            var folder = Directory.CreateTempSubdirectory("tare-check-");
            try
            {
                var others = new OtherLoad(() => Process.GetCurrentProcess().TotalProcessorTime);
                others.Begin();
                var clock = Stopwatch.StartNew();
                int fallen = Measure(new RatioSuite(count, arguments.GetValue(rounds), folder.FullName), arguments.GetValue(only)!, machine, recorded, recording, 1 - arguments.GetValue(slack));
                others.End(clock.Elapsed);
                bool disturbed = others.Processors > MostOthers;
                if (disturbed) Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"check: other programs used {others.Processors:F2} processors meanwhile{(recording ? ": nothing was recorded" : ": these figures say little")}"));
                if (recording && !disturbed) recorded.Write(path);
                if (recording) return disturbed ? 1 : 0;
                if (fallen > 0) Console.Error.WriteLine($"check: {fallen} ratios fell");
                return fallen > 0 ? 1 : 0;
            }
            finally
            {
                folder.Delete(recursive: true);
            }
        });
        return command;
    }

    private static int Measure(RatioSuite suite, string only, string machine, RecordedRatios recorded, bool recording, double kept)
    {
        Console.Out.WriteLine($"{machine}\n\n| ratio | recorded | now | least | |\n|---|---|---|---:|---|");
        int fallen = 0;
        foreach (var now in suite.Measure(only))
        {
            var before = recorded.Find(machine, now.Name);
            double? least = before?.Low * kept;
            bool fell = now.High < least && !recording; // the intervals lie apart, and further than the slack
            if (fell) fallen++;
            if (recording) recorded.Put(machine, now);
            Console.Out.WriteLine($"| {now.Name} | {(before is null ? "–" : Show(before))} | {Show(now)} | {least?.ToString("F3", CultureInfo.InvariantCulture) ?? "–"} | {(recording ? "recorded" : before is null ? "new" : fell ? "FELL" : "ok")} |");
        }
        return fallen;
    }

    private static string Show(Ratio ratio) => string.Create(CultureInfo.InvariantCulture, $"{ratio.Value:F3} [{ratio.Low:F3}, {ratio.High:F3}]");
}
