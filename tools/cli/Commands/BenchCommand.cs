using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Roofline;
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
        Option<string> model = SharedOptions.Model(), precision = SharedOptions.Precision(SharedOptions.Fast);
        Option<string?> keyType = SharedOptions.KeyType(), valueType = SharedOptions.ValueType();
        Option<int[]> prompts = List("-p", "--n-prompt", "Prompt lengths.", [512]), generates = List("-n", "--n-gen", "Numbers of tokens to generate.", [128]), depths = List("-d", "--n-depth", "Cached tokens before.", [0]),
            threads = List("-t", "--threads", "Threads that compute.", [Environment.ProcessorCount]);
        var repetitions = new Option<int>("-r", "--repetitions") { Description = "Runs of each test.", DefaultValueFactory = _ => 5 };
        var format = new Option<string>("-o", "--output") { Description = "md, csv, json or jsonl.", DefaultValueFactory = _ => "md" };
        format.AcceptOnlyFromAmong("md", "csv", "json", "jsonl");
        model.Required = false;
        var roofline = new Option<bool>("--roofline") { Description = "Measure the machine and the product kernels of each type first; without -m nothing else." };
        var profile = new Option<bool>("--profile") { Description = "Print the time by kind of kernel to stderr." };
        var norm = SharedOptions.Norm();
        var command = new Command("bench", "Measure tokens per second.") { model, prompts, generates, depths, threads, repetitions, format, precision, norm, keyType, valueType, profile, roofline };
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            int count = arguments.GetValue(repetitions);
            if (count < 1) throw new UsageException($"-r {count}: give at least 1");
            if (arguments.GetValue(roofline)) RooflineReport.Print(arguments.GetValue(threads)!, arguments.GetValue(format)!, cancel);
            else if (arguments.GetValue(model) is null) throw new UsageException("bench: give a model with -m, or --roofline");
            if (arguments.GetValue(model) is not { } path) return 0;
            using var file = ModelFile.Open(path);
            var graph = SharedOptions.Graph(arguments.GetValue(precision)!, SharedOptions.WithNorms(ArchitectureRegistry.Build(file), arguments.GetValue(norm)), arguments.GetValue(keyType), arguments.GetValue(valueType));
            ThroughputTest[] tests = [.. arguments.GetValue(depths)!.SelectMany(d => arguments.GetValue(prompts)!.Where(p => p > 0).Select(p => new ThroughputTest(p, 0, d)).Concat(arguments.GetValue(generates)!.Where(n => n > 0).Select(n => new ThroughputTest(0, n, d))))];
            if (tests.Length == 0) throw new UsageException("bench: there is nothing to measure; give -p or -n");
            var results = new List<Dictionary<string, object>>();
            foreach (int t in arguments.GetValue(threads)!)
            {
                if (t is < 1 or > 1024) throw new UsageException($"-t {t}: give 1 to 1024 threads");
                using var backend = SharedOptions.Backend(arguments.GetValue(precision)!, t);
                using var weights = backend.CreateWeightStore();
                using var bench = new Throughput(backend, graph, weights, tests.Max(x => x.Depth), tests.Max(x => x.Prompt + x.Generate));
                var roof = MachineRoof.Measure(t, 0.15, cancel);
                foreach (var test in tests)
                {
                    Progress.Show($"{test}, {t} threads", results.Count + 1, tests.Length * arguments.GetValue(threads)!.Length);
                    if (arguments.GetValue(profile)) (bench.Program as CpuProgram)?.StartProfile();
                    double[] seconds = bench.Run(test, count, cancel);
                    results.Add(Row(file, graph, backend, t, test, seconds, roof, bench));
                    if (arguments.GetValue(profile) && bench.Program is CpuProgram cpu) Show(test, cpu);
                }
            }
            Progress.End();
            Print(results, arguments.GetValue(format)!);
            return 0;
        }));
        return command;
    }

    private static Dictionary<string, object> Row(ModelFile file, Tare.Graphs.Graph graph, IBackend backend, int threads, ThroughputTest test, double[] seconds, MachineRoof roof, Throughput bench)
    {
        int tokens = test.Prompt + test.Generate;
        double[] speeds = [.. seconds.Select(s => tokens / s)];
        double bytes = test.Generate == 0 ? 0 : (WeightBytes(graph) + bench.CacheBytesRead(test)) * speeds.Average() / 1e9;
        return new()
        {
            ["model_filename"] = file.Path,
            ["model_size"] = file.Tensors.Sum(t => t.ByteLength),
            ["model_n_params"] = file.Tensors.Sum(t => t.ElementCount),
            ["backends"] = backend.Device.Backend,
            ["cpu_info"] = backend.Device.Name,
            ["n_threads"] = threads,
            ["type_k"] = CacheType(graph, a => a.KeyType),
            ["type_v"] = CacheType(graph, a => a.ValueType),
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
            ["read_roof_gb_per_s"] = roof.ReadGigabytes,
            ["roof_share"] = test.Generate == 0 ? RooflineReport.SecondsPerToken(graph, roof) * speeds.Average() : bytes / roof.ReadGigabytes,
            ["kv_bytes"] = bench.CacheBytes(test),
        };
    }

    // llama-bench's names; one for the mixed case that it does not have.
    private static string CacheType(Tare.Graphs.Graph graph, Func<KvAppend, Tare.Graphs.KvType> type)
    {
        string[] names = [.. graph.Nodes.Select(n => n.Op).OfType<KvAppend>().Select(a => type(a).ToString().ToLowerInvariant()).Distinct()];
        return names.Length switch { 0 => "none", 1 => names[0], _ => "mixed" };
    }

    // Stored bytes of weights that one generated token reads: each matrix of a product once.
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
                Console.Out.WriteLine("| model | size | params | backend | threads | test | t/s | GB/s | of roof | KV MiB |");
                Console.Out.WriteLine("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
                foreach (var row in rows)
                {
                    var test = new ThroughputTest((int)row["n_prompt"], (int)row["n_gen"], (int)row["n_depth"]);
                    Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {Path.GetFileName((string)row["model_filename"])} | {(long)row["model_size"] / 1048576.0:F2} MiB | {(long)row["model_n_params"] / 1e6:F2} M | {row["backends"]} | {row["n_threads"]} | {test} | {row["avg_ts"]:F2} ± {row["stddev_ts"]:F2} | {row["gb_per_s"]:F1} | {100 * (double)row["roof_share"]:F0}% | {(long)row["kv_bytes"] / 1048576.0:F2} |"));
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

    // N, A-B, A-B+STEP or A-B*FACTOR, as llama-bench takes them.
    private static List<int>? Range(string text)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int single)) return [single];
        var match = Regex.Match(text, @"^(\d{1,9})-(\d{1,9})(?:([+*])(\d{1,9}))?$", RegexOptions.CultureInvariant);
        if (!match.Success) return null;
        int Number(int group) => int.Parse(match.Groups[group].Value, NumberStyles.None, CultureInfo.InvariantCulture);
        int first = Number(1), last = Number(2), step = match.Groups[3].Success ? Number(4) : 1;
        bool multiplies = match.Groups[3].Value == "*";
        if (last < first || step < (multiplies ? 2 : 1) || multiplies && first == 0) return null;
        var numbers = new List<int>();
        for (long n = first; n <= last && numbers.Count < 1000; n = multiplies ? n * step : n + step) numbers.Add((int)n);
        return numbers;
    }

    private static Option<int[]> List(string name, string alias, string what, int[] value) => new(name, alias)
    {
        Description = $"{what} Several: separated by commas (default: {string.Join(',', value)}).",
        DefaultValueFactory = _ => value,
        CustomParser = result =>
        {
            var list = new List<int>();
            foreach (string part in result.Tokens.SelectMany(t => t.Value.Split(',')))
                if (Range(part) is { } numbers) list.AddRange(numbers);
                else result.AddError($"{name}: '{part}' is neither a number nor a range such as 0-4096+1024 or 128-1024*2");
            return [.. list];
        },
    };
}
