using System.CommandLine;
using System.Globalization;
using System.Text;
using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Roofline;
using Tare.Diagnostics;
using Tare.Formats;

namespace Tare.Bench.Performance;

/// <summary><c>performance</c>: measures the roofs and some models, draws the roofline and writes the measured part of docs/performance.md.</summary>
internal static class PerformanceCommand
{
    private const string Begin = "<!-- measured: begin -->", End = "<!-- measured: end -->";

    private static readonly ThroughputTest[] Tests = [new(512, 0, 0), new(0, 64, 0), new(0, 64, 2048)];

    public static Command Create()
    {
        var models = new Option<string[]>("-m", "--model") { Description = "Model files; several: -m A -m B or A,B.", Required = true };
        var threads = new Option<int>("-t", "--threads") { Description = "Threads that compute.", DefaultValueFactory = _ => Environment.ProcessorCount };
        var repetitions = new Option<int>("-r", "--repetitions") { Description = "Runs of each test.", DefaultValueFactory = _ => 3 };
        var page = new Option<string>("--page") { Description = "The page whose measured part is written.", DefaultValueFactory = _ => Path.Combine(RepositoryRoot.Path, "docs", "performance.md") };
        var chart = new Option<string>("--svg") { Description = "The picture.", DefaultValueFactory = _ => Path.Combine(RepositoryRoot.Path, "docs", "images", "roofline.svg") };
        var command = new Command("performance", "Measure the roofs and models, and write docs/performance.md and its picture.") { models, threads, repetitions, page, chart };
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            string path = arguments.GetValue(page)!, text = File.ReadAllText(path);
            int begin = text.IndexOf(Begin, StringComparison.Ordinal), end = text.IndexOf(End, StringComparison.Ordinal);
            if (begin < 0 || end < begin) throw new InvalidDataException($"{path}: the lines '{Begin}' and '{End}' are missing");
            int count = arguments.GetValue(threads);
            using var backend = new CpuBackend(count);
            var others = new OtherLoad(() => System.Diagnostics.Process.GetCurrentProcess().TotalProcessorTime);
            others.Begin();
            var clock = System.Diagnostics.Stopwatch.StartNew();
            var roof = MachineRoof.Measure(count, cancel: cancel);
            var kernels = KernelRoof.Measure(roof, cancel: cancel);
            var paths = new List<MeasuredPath>();
            foreach (string model in arguments.GetValue(models)!.SelectMany(m => m.Split(',')))
            {
                Console.Error.WriteLine(Path.GetFileName(model));
                paths.AddRange(MeasuredPath.Measure(model, Tests, arguments.GetValue(repetitions), roof));
            }
            others.End(clock.Elapsed);
            string machine = string.Create(CultureInfo.InvariantCulture, $"{backend.Device.Name}, {backend.Device.Features}, {count} threads; other programs used {others.Processors:F2} processors meanwhile");
            AtomicFile.Write(arguments.GetValue(chart)!, stream => stream.Write(Encoding.UTF8.GetBytes(RooflineChart.Draw(roof, kernels, paths, machine))));
            string measured = $"{Begin}\n{Tables(machine, roof, paths)}{End}";
            AtomicFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text[..begin] + measured + text[(end + End.Length)..])));
            return 0;
        }));
        return command;
    }

    private static string Tables(string machine, MachineRoof roof, List<MeasuredPath> paths)
    {
        var page = new StringBuilder();
        page.Append(CultureInfo.InvariantCulture, $"{machine}. Roofs: read {roof.ReadGigabytes:F1} GB/s, F32 {roof.FloatOperations:F0} GFLOP/s, int8 {roof.ByteOperations:F0} GOP/s, int16 {roof.ShortOperations:F0} GOP/s.\n\n");
        page.Append("| model | test | tokens/s | operations a byte | GOP/s | of the read bandwidth | of the arithmetic |\n|---|---|---:|---:|---:|---:|---:|\n");
        foreach (var p in paths) page.Append(CultureInfo.InvariantCulture, $"| {p.Model} | {p.Test} | {p.TokensPerSecond:F1} | {p.Intensity:F1} | {p.Operations:F0} | {100 * p.ReadShare:F0}% | {100 * p.ArithmeticShare:F0}% |\n");
        foreach (var model in paths.GroupBy(p => p.Model))
        {
            page.Append(CultureInfo.InvariantCulture, $"\nTime of one thread by kind of kernel, {model.Key}:\n\n| kernel | in the program | {string.Join(" | ", model.Select(p => p.Test))} |\n|---|---:|{string.Concat(Enumerable.Repeat("---:|", model.Count()))}\n");
            double[] totals = [.. model.Select(p => p.Kernels.Sum(k => k.Seconds))];
            foreach (string kernel in model.SelectMany(p => p.Kernels.Select(k => k.Kernel)).Distinct())
            {
                double[] shares = [.. model.Zip(totals, (p, total) => p.Kernels.Where(k => k.Kernel == kernel).Sum(k => k.Seconds) / total)];
                if (shares.Max() < 0.0005) continue;
                int count = model.First().Kernels.Where(k => k.Kernel == kernel).Sum(k => k.Count);
                page.Append(CultureInfo.InvariantCulture, $"| {kernel} | {(count == 0 ? "" : count)} | {string.Join(" | ", shares.Select(s => string.Create(CultureInfo.InvariantCulture, $"{100 * s:F1}%")))} |\n");
            }
        }
        return page.ToString();
    }
}
