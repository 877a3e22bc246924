using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Tare.Backends.Cpu;
using Tare.Diagnostics;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs.Ops;
using Tare.Models;

namespace Tare.Cli.Commands;

/// <summary><c>tare bench</c>: tokens per second, with llama-bench's options, fields and units.</summary>
internal static class BenchCommand
{
    public static Command Create()
    {
        Option<string> model = SharedOptions.Model(), precision = SharedOptions.Precision();
        Option<int[]> prompts = List("-p", "--n-prompt", "Prompt lengths.", [512]), generates = List("-n", "--n-gen", "Numbers of tokens to generate.", [128]), depths = List("-d", "--n-depth", "Cached tokens before.", [0]),
            threads = List("-t", "--threads", "Threads that compute.", [Environment.ProcessorCount]);
        var repetitions = new Option<int>("-r", "--repetitions") { Description = "Runs of each test.", DefaultValueFactory = _ => 5 };
        var format = new Option<string>("-o", "--output") { Description = "md, csv, json or jsonl.", DefaultValueFactory = _ => "md" };
        format.AcceptOnlyFromAmong("md", "csv", "json", "jsonl");
        var profile = new Option<bool>("--profile") { Description = "Print the time by kind of kernel to stderr." };
        var norm = SharedOptions.Norm();
        var command = new Command("bench", "Measure tokens per second.") { model, prompts, generates, depths, threads, repetitions, format, precision, norm, profile };
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            int count = arguments.GetValue(repetitions);
            if (count < 1) throw new UsageException($"-r {count}: give at least 1");
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            var graph = SharedOptions.Graph(arguments.GetValue(precision)!, SharedOptions.WithNorms(ArchitectureRegistry.Build(file), arguments.GetValue(norm)));
            ThroughputTest[] tests = [.. arguments.GetValue(depths)!.SelectMany(d => arguments.GetValue(prompts)!.Where(p => p > 0).Select(p => new ThroughputTest(p, 0, d)).Concat(arguments.GetValue(generates)!.Where(n => n > 0).Select(n => new ThroughputTest(0, n, d))))];
            if (tests.Length == 0) throw new UsageException("bench: there is nothing to measure; give -p or -n");
            var results = new List<Dictionary<string, object>>();
            foreach (int t in arguments.GetValue(threads)!)
            {
                if (t is < 1 or > 1024) throw new UsageException($"-t {t}: give 1 to 1024 threads");
                using var backend = SharedOptions.Backend(arguments.GetValue(precision)!, t);
                using var weights = backend.CreateWeightStore();
                using var bench = new Throughput(backend, graph, weights, tests.Max(x => x.Depth + x.Prompt + x.Generate));
                foreach (var test in tests)
                {
                    Progress.Show($"{test}, {t} threads", results.Count + 1, tests.Length * arguments.GetValue(threads)!.Length);
                    if (arguments.GetValue(profile)) (bench.Program as CpuProgram)?.StartProfile();
                    double[] seconds = bench.Run(test, count, cancel);
                    results.Add(Row(file, graph, backend, t, test, seconds));
                    if (arguments.GetValue(profile) && bench.Program is CpuProgram cpu) Show(test, cpu);
                }
            }
            Progress.End();
            Print(results, arguments.GetValue(format)!);
            return 0;
        }));
        return command;
    }

    private static Dictionary<string, object> Row(ModelFile file, Tare.Graphs.Graph graph, IBackend backend, int threads, ThroughputTest test, double[] seconds)
    {
        int tokens = test.Prompt + test.Generate;
        double[] speeds = [.. seconds.Select(s => tokens / s)];
        double bytes = test.Generate == 0 ? 0 : WeightBytes(graph) * speeds.Average() / 1e9;
        return new()
        {
            ["model_filename"] = file.Path,
            ["model_size"] = file.Tensors.Sum(t => t.ByteLength),
            ["model_n_params"] = file.Tensors.Sum(t => t.ElementCount),
            ["backends"] = backend.Device.Backend,
            ["cpu_info"] = backend.Device.Name,
            ["n_threads"] = threads,
            ["type_k"] = "f32",
            ["type_v"] = "f32",
            ["n_prompt"] = test.Prompt,
            ["n_gen"] = test.Generate,
            ["n_depth"] = test.Depth,
            ["test_time"] = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture),
            ["avg_ns"] = (long)(seconds.Average() * 1e9),
            ["stddev_ns"] = (long)(Deviation(seconds) * 1e9),
            ["avg_ts"] = speeds.Average(),
            ["stddev_ts"] = Deviation(speeds),
            ["samples_ns"] = seconds.Select(s => (long)(s * 1e9)).ToArray(),
            ["samples_ts"] = speeds,
            ["gb_per_s"] = bytes,
        };
    }

    // Stored bytes that one generated token reads: each matrix of a product once.
    private static double WeightBytes(Tare.Graphs.Graph graph)
    {
        double sum = 0;
        foreach (var weight in graph.Nodes.Where(n => n.Op is Linear or GroupLinear).SelectMany(n => n.Op.Weights).Distinct())
            sum += weight.Rows > 0 && weight.TryGetStoredRow(0, out var row) ? (double)weight.Rows * row.Length : 4.0 * weight.Rows * weight.Width;
        return sum;
    }

    private static void Print(List<Dictionary<string, object>> rows, string format)
    {
        switch (format)
        {
            case "json": Console.Out.WriteLine(JsonSerializer.Serialize(rows)); break;
            case "jsonl": foreach (var row in rows) Console.Out.WriteLine(JsonSerializer.Serialize(row)); break;
            case "csv":
                string[] keys = [.. rows[0].Keys.Where(k => !k.StartsWith("samples", StringComparison.Ordinal))];
                Console.Out.WriteLine(string.Join(',', keys));
                foreach (var row in rows) Console.Out.WriteLine(string.Join(',', keys.Select(k => $"\"{Convert.ToString(row[k], CultureInfo.InvariantCulture)!.Replace("\"", "\"\"")}\"")));
                break;
            default:
                Console.Out.WriteLine("| model | size | params | backend | threads | test | t/s | GB/s |");
                Console.Out.WriteLine("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |");
                foreach (var row in rows)
                {
                    var test = new ThroughputTest((int)row["n_prompt"], (int)row["n_gen"], (int)row["n_depth"]);
                    Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {Path.GetFileName((string)row["model_filename"])} | {(long)row["model_size"] / 1048576.0:F2} MiB | {(long)row["model_n_params"] / 1e6:F2} M | {row["backends"]} | {row["n_threads"]} | {test} | {row["avg_ts"]:F2} ± {row["stddev_ts"]:F2} | {row["gb_per_s"]:F1} |"));
                }
                break;
        }
    }

    private static void Show(ThroughputTest test, CpuProgram program)
    {
        var rows = program.Profile();
        double total = rows.Sum(r => r.Seconds);
        Console.Error.WriteLine($"{test}: {total:F3} s");
        foreach (var (kernel, count, seconds) in rows) Console.Error.WriteLine($"  {kernel,-20}{count,5} {seconds,9:F4} s {100 * seconds / total,6:F1} %");
    }

    private static double Deviation(double[] values) => values.Length < 2 ? 0 : Math.Sqrt(values.Sum(v => (v - values.Average()) * (v - values.Average())) / (values.Length - 1));

    private static Option<int[]> List(string name, string alias, string what, int[] value) => new(name, alias)
    {
        Description = $"{what} Several: separated by commas (default: {string.Join(',', value)}).",
        DefaultValueFactory = _ => value,
        CustomParser = result =>
        {
            var list = new List<int>();
            foreach (string part in result.Tokens.SelectMany(t => t.Value.Split(',')))
                if (int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int number)) list.Add(number);
                else result.AddError($"{name}: '{part}' is not a number");
            return [.. list];
        },
    };
}
