using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Tare.Diagnostics;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tokenizers;

namespace Tare.Cli.Commands.Norms;

/// <summary><c>tare norm verify</c>: how far the logits of two forms of a model lie apart.</summary>
internal static class NormVerifyCommand
{
    private const int RandomTokens = 256;

    public static Command Create()
    {
        Option<string> model = SharedOptions.Model(), precision = SharedOptions.Precision();
        var to = NormCommand.To(required: false);
        var against = new Option<string?>("--against") { Description = "Another model file to compare with." };
        var text = new Option<string?>("--text") { Description = $"A text file (default: {RandomTokens} random tokens)." };
        var context = new Option<int>("-c", "--context") { Description = "Tokens of a window.", DefaultValueFactory = _ => 512 };
        var limit = new Option<int?>("-n", "--tokens") { Description = "Compare the first tokens of the text only." };
        var tolerance = new Option<double?>("--tolerance") { Description = "Exit with 1 where max |Δlogit| is more than this share of the largest logit." };
        var json = SharedOptions.Json();
        var threads = SharedOptions.Threads();
        var flags = new NormRewriteFlags();
        var command = new Command("verify", "Compare the logits of a model before and after a rewrite, or of two models.") { model, to, against, text, context, limit, tolerance, precision, threads, json };
        flags.AddTo(command);
        var edits = new EditFlags();
        edits.AddTo(command);
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            if (arguments.GetValue(to) is null == arguments.GetValue(against) is null) throw new UsageException("norm verify: give either --to or --against");
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            using var other = arguments.GetValue(against) is string path ? ModelFile.Open(path) : null;
            var rewrites = new RewriteReport();
            var own = NormCommand.GraphOf(file);
            var rewritten = other is not null ? NormCommand.GraphOf(other) : NormRewrites.Apply(own, NormRewrites.Targets[arguments.GetValue(to)!], rewrites, flags.Options(arguments));
            string kind = arguments.GetValue(precision)!;
            var (before, editsBefore, _) = edits.Apply(arguments, SharedOptions.Graph(kind, own), new StreamCoordinates());
            var (after, editsAfter, _) = edits.Apply(arguments, SharedOptions.Graph(kind, rewritten), rewrites.Coordinates);
            var (ids, beginning) = Tokens(file, before, arguments.GetValue(text));
            if (arguments.GetValue(limit) is int most) ids = ids[..Math.Min(ids.Length, Math.Max(2, most))];
            int window = Math.Min(ContextLength.Choose(file, before, arguments.GetValue(context)), ids.Length + (beginning is null ? 0 : 1));
            using var backend = SharedOptions.Backend(kind, arguments.GetValue(threads));
            var report = LogitComparison.Compute(backend, before, after, ids, beginning, window, new TokenReport(), cancel, (editsBefore, editsAfter));
            Progress.End();
            Print(report, arguments.GetValue(json), arguments.GetValue(text), kind switch { SharedOptions.Exact => 1e-5, SharedOptions.Float64 => 1e-12, _ => null });
            return report.RelativeDifference <= (arguments.GetValue(tolerance) ?? double.PositiveInfinity) ? 0 : 1;
        }));
        return command;
    }

    private static (int[] Ids, int? Beginning) Tokens(ModelFile file, Graph graph, string? text)
    {
        if (text is null)
        {
            int vocabulary = graph.TypeOf(graph.FindOutput(GraphBuilder.LogitsOutput)!.Value).Width;
            var random = new Random(1);
            return ([.. Enumerable.Range(0, RandomTokens).Select(_ => random.Next(vocabulary))], null);
        }
        var tokenizer = Tokenizer.Of(file);
        return (tokenizer.Encode(File.ReadAllText(text), addSpecial: false), tokenizer.AddsBeginningOfSequence ? tokenizer.BeginningOfSequence : null);
    }

    private static void Print(LogitComparisonReport r, bool json, string? text, double? rounding)
    {
        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(new
            {
                tokens = r.Tokens,
                max_difference = r.MaxDifference,
                relative_difference = r.RelativeDifference,
                nmse = r.Nmse,
                mean_kl = r.MeanKl,
                max_kl = r.MaxKl,
                top1_agreement = r.Top1Agreement,
                perplexity_before = text is not null ? r.PerplexityBefore : (double?)null,
                perplexity_after = text is not null ? r.PerplexityAfter : (double?)null,
                mean_over_rms_before = r.StreamBefore,
                mean_over_rms_after = r.StreamAfter,
            }));
            return;
        }
        void Line(string name, FormattableString value) => Console.Out.WriteLine($"{name,-28}{value.ToString(CultureInfo.InvariantCulture)}");
        Line("compared", $"{r.Tokens} positions of {(text is null ? $"{RandomTokens} random tokens" : Path.GetFileName(text))}");
        Line("largest |Δlogit|", $"{r.MaxDifference:0.0e-0}: {r.RelativeDifference:0.0e-0} of the largest logit{(rounding is double most ? string.Create(CultureInfo.InvariantCulture, $" (rounding stays below {most:0e-0})") : "")}");
        Line("NMSE of the worst position", $"{r.Nmse:0.0e-0}");
        Line("KL, mean and largest", $"{r.MeanKl:0.0e-0}, {r.MaxKl:0.0e-0} nats");
        Line("same best token", $"{100 * r.Top1Agreement:F2} %");
        if (text is not null) Line("perplexity", $"{r.PerplexityBefore:F6} → {r.PerplexityAfter:F6}");
        Console.Out.WriteLine();
        Console.Out.WriteLine($"|mean| / rms of the residual stream{(r.StreamAfter is null ? " before; after, it has no mean, as it is stored in fewer coordinates or others" : ", before → after")}");
        for (int i = 0; i < r.StreamBefore.Count; i++)
        {
            string after = r.StreamAfter is null ? "" : string.Create(CultureInfo.InvariantCulture, $" → {r.StreamAfter[i]:0.0e-0}");
            Line(i == r.StreamBefore.Count - 1 ? "  before the final norm" : $"  where block {i} begins", $"{r.StreamBefore[i]:0.0e-0}{after}");
        }
    }

    private sealed class TokenReport : IProgress<(int Done, int Total)>
    {
        public void Report((int Done, int Total) value) => Progress.Show("tokens", value.Done, value.Total);
    }
}
