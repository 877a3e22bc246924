using System.CommandLine;
using System.Globalization;
using System.Text.RegularExpressions;
using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Roofline;
using Tare.Diagnostics;
using Tare.Execution.Edits;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;

namespace Tare.Cli.Commands;

/// <summary><c>tare bench</c>: tokens per second, with llama-bench's options, fields and units.</summary>
internal static class BenchCommand
{
    public static Command Create()
    {
        Option<string> precision = SharedOptions.Precision(SharedOptions.Fast);
        Option<string?> keyType = SharedOptions.KeyType(), valueType = SharedOptions.ValueType();
        var models = new Option<string[]>("-m", "--model") { Description = "A .gguf, a .safetensors or a checkpoint folder; several: -m A -m B or A,B." };
        Option<int[]> prompts = List("-p", "--n-prompt", "Prompt lengths.", [512]), generates = List("-n", "--n-gen", "Numbers of tokens to generate.", [128]), depths = List("-d", "--n-depth", "Cached tokens before.", [0]),
            threads = List("-t", "--threads", "Threads that compute.", [Environment.ProcessorCount]);
        var both = new Option<string[]>("-pg") { Description = "PROMPT,GENERATE: a prompt and then generated tokens, timed together. Several: -pg 512,128 -pg 64,16." };
        var repetitions = new Option<int>("-r", "--repetitions") { Description = "Runs of each test.", DefaultValueFactory = _ => 5 };
        var format = new Option<string>("-o", "--output") { Description = "md, csv, json or jsonl.", DefaultValueFactory = _ => "md" };
        format.AcceptOnlyFromAmong("md", "csv", "json", "jsonl");
        var roofline = new Option<bool>("--roofline") { Description = "Measure the machine and the product kernels of each type first; without -m nothing else." };
        var noRoofs = new Option<bool>("--no-roofs") { Description = "Do not measure the machine's bandwidth and throughput: no shares of roofs in the result." };
        var profile = new Option<bool>("--profile") { Description = "Print the time by kind of kernel to stderr." };
        var requests = new Option<bool>("--stdin") { Description = "Load one model and run tests when told to: JSON lines {\"n_prompt\":512,\"n_gen\":0,\"n_depth\":0,\"repetitions\":1} within -p, -n and -d, each answered with a line that adds samples_ns." };
        var norm = SharedOptions.Norm();
        var command = new Command("bench", "Measure tokens per second.") { models, prompts, generates, both, depths, threads, repetitions, format, precision, norm, keyType, valueType, profile, roofline, noRoofs, requests };
        var edits = new EditFlags();
        edits.AddTo(command);
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            int count = arguments.GetValue(repetitions);
            if (count < 1) throw new UsageException($"-r {count}: give at least 1");
            string[] paths = [.. (arguments.GetValue(models) ?? []).SelectMany(m => m.Split(','))];
            int[] threadCounts = arguments.GetValue(threads)!;
            if (threadCounts.FirstOrDefault(t => t is < 1 or > 1024, 1) is not 1 and var bad) throw new UsageException($"-t {bad}: give 1 to 1024 threads");
            if (arguments.GetValue(roofline)) RooflineReport.Print(threadCounts, arguments.GetValue(format)!, cancel);
            else if (paths.Length == 0) throw new UsageException("bench: give a model with -m, or --roofline");
            if (paths.Length == 0) return 0;
            ThroughputTest[] tests = [.. arguments.GetValue(depths)!.SelectMany(d => Tests(arguments.GetValue(prompts)!, arguments.GetValue(generates)!, [.. (arguments.GetValue(both) ?? []).Select(Pair)], d))];
            if (tests.Length == 0) throw new UsageException("bench: there is nothing to measure; give -p, -n or -pg");
            (Graph, StepEdits?) Build(ModelFile file)
            {
                var graph = SharedOptions.WithNorms(ArchitectureRegistry.Build(file), arguments.GetValue(norm), out var coordinates);
                (graph, var stepEdits, _) = edits.Apply(arguments, SharedOptions.Graph(arguments.GetValue(precision)!, graph, arguments.GetValue(keyType), arguments.GetValue(valueType)), coordinates);
                return (graph, stepEdits);
            }
            if (arguments.GetValue(requests))
            {
                if (paths.Length > 1 || threadCounts.Length > 1) throw new UsageException("bench: --stdin takes one model and one number of threads");
                using var file = ModelFile.Open(paths[0]);
                BenchRequests.Serve(file, Build(file), SharedOptions.Backend(arguments.GetValue(precision)!, threadCounts[0]), tests, cancel);
                return 0;
            }
            var roofs = new Dictionary<int, MachineRoof>();
            if (!arguments.GetValue(noRoofs))
                foreach (int t in threadCounts) roofs[t] = MachineRoof.Measure(t, 0.15, cancel);
            var results = new List<Dictionary<string, object?>>();
            foreach (string path in paths)
            {
                using var file = ModelFile.Open(path);
                var (graph, stepEdits) = Build(file);
                foreach (int t in threadCounts)
                {
                    using var backend = SharedOptions.Backend(arguments.GetValue(precision)!, t);
                    using var weights = backend.CreateWeightStore();
                    using var bench = new Throughput(backend, graph, weights, tests.Max(x => x.Depth), tests.Max(x => x.Prompt + x.Generate), edits: stepEdits);
                    foreach (var test in tests)
                    {
                        Progress.Show($"{Path.GetFileName(path)}: {test}, {t} threads", results.Count + 1, (long)tests.Length * threadCounts.Length * paths.Length);
                        bench.WarmUp(test, cancel);
                        var profiled = arguments.GetValue(profile) ? bench.Program as CpuProgram : null;
                        profiled?.StartProfile();
                        double[] seconds = bench.Repeat(test, count, cancel);
                        if (profiled is not null) Show(test, profiled);
                        results.Add(BenchReport.Row(file, graph, backend, t, test, seconds, roofs.GetValueOrDefault(t), bench, edits.Describe(arguments)));
                    }
                }
            }
            Progress.End();
            BenchReport.Print(results, arguments.GetValue(format)!);
            return 0;
        }));
        return command;
    }

    private static IEnumerable<ThroughputTest> Tests(int[] prompts, int[] generates, (int Prompt, int Generate)[] pairs, int depth)
        => [.. prompts.Where(p => p > 0).Select(p => new ThroughputTest(p, 0, depth)), .. generates.Where(n => n > 0).Select(n => new ThroughputTest(0, n, depth)), .. pairs.Select(x => new ThroughputTest(x.Prompt, x.Generate, depth))];

    private static (int Prompt, int Generate) Pair(string text)
        => text.Split(',') is [var p, var n] && int.TryParse(p, NumberStyles.None, CultureInfo.InvariantCulture, out int prompt) && int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out int generate) && prompt > 0 && generate > 0
            ? (prompt, generate) : throw new UsageException($"-pg {text}: give PROMPT,GENERATE, both at least 1");

    private static void Show(ThroughputTest test, CpuProgram program)
    {
        var rows = program.Profile();
        double total = rows.Sum(r => r.Seconds);
        Console.Error.WriteLine($"{test}: {total:F3} s");
        foreach (var (kernel, count, seconds) in rows) Console.Error.WriteLine($"  {kernel,-20}{count,5} {seconds,9:F4} s {100 * seconds / total,6:F1} %");
    }

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
