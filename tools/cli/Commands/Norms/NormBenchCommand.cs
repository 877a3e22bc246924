using System.CommandLine;
using System.Text;
using Tare.Backends.Cpu;
using Tare.Diagnostics;
using Tare.Formats;
using Tare.Synthesis;

namespace Tare.Cli.Commands.Norms;

/// <summary><c>tare norm bench</c>: what norms cost, each against LayerNorm.</summary>
internal static class NormBenchCommand
{
    private static readonly string[] Levels = ["kernel", "layer", "model"], DefaultWidths = ["576", "1024", "2048", "4096", "8192"];

    public static Command Create()
    {
        var level = new Option<string>("--level") { Description = "kernel (addition + norm over rows), layer (one block of a shape) or model.", DefaultValueFactory = _ => "kernel" };
        level.AcceptOnlyFromAmong(Levels);
        Option<string[]> shapes = List("--shapes", $"Shapes: {string.Join(", ", NormModelBench.Shapes)} (default: gpt3-small; kernel: rows of {string.Join(", ", DefaultWidths)}). Kernel: also widths.", [], null),
            norms = List("--norm", "Norms", [.. NormVariants.Names], NormVariants.Names);
        Option<int> batch = Number("--batch", "Layer and model: sequences in a step", 1), sequence = Number("--sequence", "Layer and model: tokens of each prompt", 128), generate = Number("--generate", "Layer and model: tokens of a decode run", 8),
            memory = Number("--mib", "Kernel: MiB of the rows that lie in memory (both inputs, sum, output)", 1024), repetitions = Number("-r", "Rounds of four runs in the order A B B A", 15);
        var type = new Option<string>("--type") { Description = "Layer and model: type of the matrices. Rewritten ones (crms) become F32, so that only F32 compares like with like.", DefaultValueFactory = _ => "F32" };
        type.AcceptOnlyFromAmong([.. SyntheticModel.Types.Select(t => t.ToString())]);
        var threads = SharedOptions.Threads();
        var format = new Option<string>("-o", "--output") { Description = "md or json.", DefaultValueFactory = _ => "md" };
        format.AcceptOnlyFromAmong("md", "json");
        var svg = new Option<string?>("--svg") { Description = "Write a chart to this file too." };
        var command = new Command("bench", "Measure what norms cost: each against LayerNorm fused with the addition before it, and against LayerNorm in separate passes.") { level, shapes, norms, batch, sequence, generate, memory, type, threads, repetitions, format, svg };
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            using var fused = new CpuBackend(arguments.GetValue(threads));
            using var unfused = new CpuBackend(arguments.GetValue(threads)) { Fuses = false };
            string[] given = arguments.GetValue(shapes)!, variants = arguments.GetValue(norms)!;
            int rounds = arguments.GetValue(repetitions);
            IEnumerable<NormBenchRow> measured;
            if (arguments.GetValue(level) == "kernel")
            {
                int[] widths = [.. (given.Length == 0 ? DefaultWidths : given).Select(WidthOf)];
                var bench = new NormKernelBench(fused, rounds);
                measured = widths.SelectMany(w => bench.Run(variants, w, false, NormKernelBench.CacheBytes * fused.Pool.Threads, cancel).Concat(bench.Run(variants, w, true, (long)arguments.GetValue(memory) << 20, cancel)));
            }
            else
            {
                var bench = new NormModelBench(fused, unfused, rounds, new NormBenchSize(arguments.GetValue(batch), arguments.GetValue(sequence), arguments.GetValue(generate)));
                var chosen = (given.Length == 0 ? ["gpt3-small"] : given).Select(n => (Name: n, Shape: ShapeOf(n))).ToList();
                measured = chosen.SelectMany(s => bench.Run(variants, s.Name, s.Shape, arguments.GetValue(level) == "layer", Enum.Parse<TensorType>(arguments.GetValue(type)!), cancel));
            }
            var rows = new List<NormBenchRow>();
            foreach (var row in measured)
            {
                rows.Add(row);
                Progress.Show($"{row.Level} {row.Shape} {row.Case} {row.Variant}", rows.Count, rows.Count);
            }
            Progress.End();
            string machine = $"{fused.Device.Name}, {fused.Device.Features}, {fused.Device.Threads} threads";
            Console.Out.Write(arguments.GetValue(format) == "json" ? NormBenchReport.Json(rows, machine, rounds) : NormBenchReport.Markdown(rows, machine, rounds));
            if (arguments.GetValue(svg) is { } path) AtomicFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(NormBenchChart.Draw(rows, machine))));
            return 0;
        }));
        return command;
    }

    private static SyntheticShape ShapeOf(string name)
        => NormModelBench.Shapes.Contains(name) ? SyntheticShape.Known[name] : throw new UsageException($"--shapes {name}: give one of {string.Join(", ", NormModelBench.Shapes)}");

    private static int WidthOf(string text) => int.TryParse(text, out int width) ? width is >= 2 and <= 1 << 20 ? width : throw new UsageException($"--shapes {text}: give a width of 2 to {1 << 20}") : ShapeOf(text).Width;

    private static Option<int> Number(string name, string what, int value)
    {
        var option = new Option<int>(name) { Description = $"{what}.", DefaultValueFactory = _ => value };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out int number) && number is < 1 or > 1 << 20) result.AddError($"{name} {number}: give 1 to {1 << 20}");
        });
        return option;
    }

    private static Option<string[]> List(string name, string what, string[] value, IReadOnlyList<string>? allowed) => new(name)
    {
        Description = allowed is null ? what : $"{what}, separated by commas: {string.Join(", ", allowed)} (default: all).",
        DefaultValueFactory = _ => value,
        CustomParser = result =>
        {
            string[] parts = [.. result.Tokens.SelectMany(t => t.Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)).Distinct()];
            foreach (string part in parts)
                if (allowed is not null && !allowed.Contains(part)) result.AddError($"{name}: '{part}' is none of {string.Join(", ", allowed)}");
            return parts;
        },
    };
}
