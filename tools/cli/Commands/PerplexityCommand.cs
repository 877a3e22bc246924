using System.CommandLine;
using System.Text.Json;
using Tare.Diagnostics;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Tokenizers;

namespace Tare.Cli.Commands;

/// <summary><c>tare perplexity</c>: how well a model predicts a text.</summary>
internal static class PerplexityCommand
{
    public static Command Create()
    {
        Option<string> model = SharedOptions.Model(), precision = SharedOptions.Precision(SharedOptions.Fast);
        Option<string?> keyType = SharedOptions.KeyType(), valueType = SharedOptions.ValueType();
        var file = new Argument<string>("file") { Description = "A text file." };
        var context = new Option<int>("-c", "--context") { Description = "Tokens of a window.", DefaultValueFactory = _ => 512 };
        var other = new Option<string?>("--compare") { Description = "The reference to compare with: another model file, or a precision of the same one (exact, fast, float64)." };
        var otherPrecision = new Option<string>("--compare-precision") { Description = "Precision of a reference file.", DefaultValueFactory = _ => SharedOptions.Exact };
        otherPrecision.AcceptOnlyFromAmong(SharedOptions.Precisions);
        Option<bool> json = SharedOptions.Json(), noMap = SharedOptions.NoMap();
        var threads = SharedOptions.Threads();
        var norm = SharedOptions.Norm();
        var command = new Command("perplexity", "Measure how well a model predicts a text, over windows that start from an empty cache; and how far it is from a reference.")
        {
            file, model, context, other, otherPrecision, json, precision, norm, keyType, valueType, threads, noMap,
        };
        var edits = new EditFlags();
        edits.AddTo(command);
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            var open = new OpenOptions { Map = !arguments.GetValue(noMap) };
            using var opened = ModelFile.Open(arguments.GetValue(model)!, open);
            var tokenizer = Tokenizer.Of(opened);
            string text = File.ReadAllText(arguments.GetValue(file)!);
            var graph = Predicting(opened);
            int window = ContextLength.Choose(opened, graph, arguments.GetValue(context));
            int? beginning = tokenizer.AddsBeginningOfSequence ? tokenizer.BeginningOfSequence : null;
            int[] ids = tokenizer.Encode(text, addSpecial: false);
            string asked = arguments.GetValue(precision)!;
            int count = arguments.GetValue(threads);
            using var backend = SharedOptions.Backend(asked, count);
            graph = SharedOptions.Graph(asked, SharedOptions.WithNorms(graph, arguments.GetValue(norm), out var coordinates), arguments.GetValue(keyType), arguments.GetValue(valueType));
            (graph, var stepEdits, _) = edits.Apply(arguments, graph, coordinates);
            if (arguments.GetValue(other) is not { } reference)
            {
                var report = Perplexity.Compute(backend, graph, ids, beginning, window, new WindowReport(), cancel, stepEdits);
                Progress.End();
                Write(report, window, arguments.GetValue(json));
                return 0;
            }
            bool isPrecision = SharedOptions.Precisions.Contains(reference);
            string referencePrecision = isPrecision ? reference : arguments.GetValue(otherPrecision)!;
            using var referenceFile = ModelFile.Open(isPrecision ? arguments.GetValue(model)! : reference, open);
            using var referenceBackend = SharedOptions.Backend(referencePrecision, count);
            var divergence = Divergence.Compute((referenceBackend, SharedOptions.Graph(referencePrecision, Predicting(referenceFile))), (backend, graph), ids, beginning, window, new WindowReport(), cancel, stepEdits);
            Progress.End();
            Write(divergence, window, arguments.GetValue(json));
            return 0;
        }));
        return command;
    }

    private static Graph Predicting(ModelFile file)
    {
        var graph = ArchitectureRegistry.Build(file);
        return graph.FindOutput(GraphBuilder.LogitsOutput) is not null ? graph : throw new ModelFileException(file.Path, "the model has no head, so it predicts nothing");
    }

    private static void Write(PerplexityReport report, int window, bool json)
    {
        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(new
            {
                windows = report.Windows,
                scored = report.All.Scored,
                mean_nll = report.All.MeanNll,
                median_nll = report.MedianNll,
                p95_nll = report.P95Nll,
                perplexity = report.All.Perplexity,
                last_half = new { scored = report.LastHalf.Scored, mean_nll = report.LastHalf.MeanNll, perplexity = report.LastHalf.Perplexity },
            }));
            return;
        }
        Console.Out.WriteLine($"{report.Windows} windows of {window} tokens");
        Console.Out.WriteLine($"{"",-12}{"scored",10}{"mean NLL",12}{"median",12}{"p95",12}{"perplexity",12}");
        Console.Out.WriteLine($"{"all",-12}{report.All.Scored,10}{report.All.MeanNll,12:F6}{report.MedianNll,12:F6}{report.P95Nll,12:F6}{report.All.Perplexity,12:F4}");
        Console.Out.WriteLine($"{"last half",-12}{report.LastHalf.Scored,10}{report.LastHalf.MeanNll,12:F6}{"",12}{"",12}{report.LastHalf.Perplexity,12:F4}");
    }

    private static void Write(DivergenceReport report, int window, bool json)
    {
        var kl = report.Kl;
        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(new
            {
                windows = report.Windows,
                positions = kl.Positions,
                kl = new { mean = kl.Mean, median = kl.Median, p90 = kl.P90, p95 = kl.P95, p99 = kl.P99, p999 = kl.P999, max = kl.Max },
                top_1_agreement = report.TopAgreement,
                reference = new { mean_nll = report.Reference.MeanNll, perplexity = report.Reference.Perplexity },
                engine = new { mean_nll = report.Engine.MeanNll, perplexity = report.Engine.Perplexity },
            }, Infinite));
            return;
        }
        Console.Out.WriteLine($"{report.Windows} windows of {window} tokens, {kl.Positions} positions");
        Console.Out.WriteLine($"{"KL in nats",-12}{"mean",12}{"median",12}{"p90",12}{"p95",12}{"p99",12}{"p99.9",12}{"max",12}");
        Console.Out.WriteLine($"{"",-12}{kl.Mean,12:E3}{kl.Median,12:E3}{kl.P90,12:E3}{kl.P95,12:E3}{kl.P99,12:E3}{kl.P999,12:E3}{kl.Max,12:E3}");
        Console.Out.WriteLine($"same most probable token: {100 * report.TopAgreement:F3}%");
        Console.Out.WriteLine($"perplexity: reference {report.Reference.Perplexity:F4}, engine {report.Engine.Perplexity:F4} ({100 * (report.Engine.Perplexity / report.Reference.Perplexity - 1):+0.000;-0.000}%)");
    }

    // A token that the engine excludes makes the divergence infinite.
    private static readonly JsonSerializerOptions Infinite = new() { NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals };

    private sealed class WindowReport : IProgress<(int Done, int Total)>
    {
        public void Report((int Done, int Total) value) => Progress.Show("windows", value.Done, value.Total);
    }
}
