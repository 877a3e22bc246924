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
        Option<string> model = SharedOptions.Model(), precision = SharedOptions.Precision();
        var file = new Argument<string>("file") { Description = "A text file." };
        var context = new Option<int>("-c", "--context") { Description = "Tokens of a window.", DefaultValueFactory = _ => 512 };
        Option<bool> json = SharedOptions.Json(), noMap = SharedOptions.NoMap();
        var threads = SharedOptions.Threads();
        var norm = SharedOptions.Norm();
        var command = new Command("perplexity", "Measure how well a model predicts a text, over windows that start from an empty cache.") { file, model, context, json, precision, norm, threads, noMap };
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            using var opened = ModelFile.Open(arguments.GetValue(model)!, new OpenOptions { Map = !arguments.GetValue(noMap) });
            var tokenizer = Tokenizer.Of(opened);
            string text = File.ReadAllText(arguments.GetValue(file)!);
            var graph = ArchitectureRegistry.Build(opened);
            if (graph.FindOutput(GraphBuilder.LogitsOutput) is null) throw new ModelFileException(opened.Path, "the model has no head, so it predicts nothing");
            int window = ContextLength.Choose(opened, graph, arguments.GetValue(context));
            int? beginning = tokenizer.AddsBeginningOfSequence ? tokenizer.BeginningOfSequence : null;
            int[] ids = tokenizer.Encode(text, addSpecial: false);
            using var backend = SharedOptions.Backend(arguments.GetValue(precision)!, arguments.GetValue(threads));
            var report = Perplexity.Compute(backend, SharedOptions.Graph(arguments.GetValue(precision)!, SharedOptions.WithNorms(graph, arguments.GetValue(norm))), ids, beginning, window, new WindowReport(), cancel);
            Progress.End();
            if (arguments.GetValue(json))
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
            else
            {
                Console.Out.WriteLine($"{report.Windows} windows of {window} tokens");
                Console.Out.WriteLine($"{"",-12}{"scored",10}{"mean NLL",12}{"median",12}{"p95",12}{"perplexity",12}");
                Console.Out.WriteLine($"{"all",-12}{report.All.Scored,10}{report.All.MeanNll,12:F6}{report.MedianNll,12:F6}{report.P95Nll,12:F6}{report.All.Perplexity,12:F4}");
                Console.Out.WriteLine($"{"last half",-12}{report.LastHalf.Scored,10}{report.LastHalf.MeanNll,12:F6}{"",12}{"",12}{report.LastHalf.Perplexity,12:F4}");
            }
            return 0;
        }));
        return command;
    }

    private sealed class WindowReport : IProgress<(int Done, int Total)>
    {
        public void Report((int Done, int Total) value) => Progress.Show("windows", value.Done, value.Total);
    }
}
