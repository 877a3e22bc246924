using System.CommandLine;
using System.Text.Json;
using Tare.Conversion;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Rewrites;

namespace Tare.Cli.Commands.Norms;

/// <summary><c>tare norm rewrite</c>: a model file with other norms and the same logits.</summary>
internal static class NormRewriteCommand
{
    public static Command Create()
    {
        var model = SharedOptions.Model();
        var to = NormCommand.To(required: true);
        var output = new Option<string?>("-o", "--output") { Description = "The .gguf file, or from a checkpoint folder another one, to write; without it the rewrite is only reported." };
        var type = new Option<string?>("--type") { Description = $"Type of the matrices that change: {string.Join(", ", Requantization.Types)} (default: F32; F16 where the input is quantized)." };
        type.AcceptOnlyFromAmong([.. Requantization.Types.Select(t => t.ToString())]);
        var json = SharedOptions.Json();
        var flags = new NormRewriteFlags();
        var command = new Command("rewrite", "Write a model with other norms and the same logits.") { model, to, output, type, json };
        flags.AddTo(command);
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            var report = new RewriteReport();
            var graph = NormRewrites.Apply(ArchitectureRegistry.Build(file), NormRewrites.Targets[arguments.GetValue(to)!], report, flags.Options(arguments));
            TensorType? wanted = arguments.GetValue(type) is string name ? Enum.Parse<TensorType>(name) : null;
            string? path = arguments.GetValue(output);
            if (path is not null) GraphFile.Write(file, graph, path, wanted, new TensorReport(), cancel);
            Progress.End();
            Print(report, GraphFile.Architecture(file, graph, path), GraphFile.Plan(file, graph, wanted, path), arguments.GetValue(json));
            return 0;
        }));
        return command;
    }

    // What was changed, which engines run the file, and what type each changed tensor has.
    private static void Print(RewriteReport report, (string Name, string? Reason) architecture, IReadOnlyList<GraphTensor> tensors, bool json)
    {
        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(new
            {
                changes = report.Changes.Select(c => new { pass = c.Pass, node = c.Node, what = c.What }),
                architecture = architecture.Name,
                not_llama_because = architecture.Reason,
                left = report.Left.Select(c => new { pass = c.Pass, node = c.Node, why = c.What }),
                tensors = tensors.Select(t => new { name = t.Name, from = t.From.ToString(), to = t.To.ToString(), touched = t.Touched, expression = t.Expression }),
            }));
            return;
        }
        foreach (var group in report.Changes.GroupBy(c => (c.Pass, c.What)))
            Console.Out.WriteLine($"{group.Key.Pass,-22} {group.Count(),5} × {group.Key.What}");
        foreach (var left in report.Left) Console.Out.WriteLine($"{left.Pass,-22} left: {left.Node}: {left.What}");
        Console.Out.WriteLine(architecture.Reason is null ? $"architecture {architecture.Name}, as llama.cpp and Transformers know it" : $"architecture {architecture.Name}, which Tare alone runs; no llama because of {architecture.Reason}");
        foreach (var group in tensors.GroupBy(t => (t.From, t.To, t.Touched)).OrderBy(g => !g.Key.Touched))
            Console.Out.WriteLine($"{group.Count(),5} tensors  {(group.Key.Touched ? $"{group.Key.From} → {group.Key.To}  computed" : $"{group.Key.To}  as stored")}");
    }

    /// <summary>Tensors written so far.</summary>
    internal sealed class TensorReport : IProgress<(int Done, int Total)>
    {
        public void Report((int Done, int Total) value) => Progress.Show("tensors", value.Done, value.Total);
    }
}
