using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Tare.Conversion;
using Tare.Diagnostics;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tokenizers;

namespace Tare.Cli.Commands.Norms;

/// <summary><c>tare norm freeze</c>: norms replaced by their average scale.</summary>
internal static class NormFreezeCommand
{
    public static Command Create()
    {
        Option<string> model = SharedOptions.Model(), precision = SharedOptions.Precision(), output = SharedOptions.Output();
        var calibration = new Option<string>("--calibration") { Description = "A text file: scales are averaged over it.", Required = true };
        var text = new Option<string?>("--text") { Description = "A text file to measure the loss on (default: the calibration text)." };
        var sites = new Option<string[]>("--sites") { Description = "Names of norms as `tare norm show` lists them, with * and ?, separated by commas (default: all).", CustomParser = r => [.. r.Tokens.SelectMany(t => t.Value.Split(',', StringSplitOptions.RemoveEmptyEntries))] };
        var context = new Option<int>("-c", "--context") { Description = "Tokens of a window.", DefaultValueFactory = _ => 512 };
        var json = SharedOptions.Json();
        var threads = SharedOptions.Threads();
        var command = new Command("freeze", "Replace norms by their average scale over a calibration text; the loss changes and is reported.") { model, calibration, text, sites, context, precision, threads, output, json };
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            var graph = NormCommand.GraphOf(file);
            var chosen = Choose(graph, arguments.GetResult(sites) is null ? [] : arguments.GetValue(sites)!);
            var tokenizer = Tokenizer.Of(file);
            int? beginning = tokenizer.AddsBeginningOfSequence ? tokenizer.BeginningOfSequence : null;
            int window = ContextLength.Choose(file, graph, arguments.GetValue(context));
            int[] ids = tokenizer.Encode(File.ReadAllText(arguments.GetValue(calibration)!), addSpecial: false);
            int[] scored = arguments.GetValue(text) is string other ? tokenizer.Encode(File.ReadAllText(other), addSpecial: false) : ids;
            string kind = arguments.GetValue(precision)!;
            using var backend = SharedOptions.Backend(kind, arguments.GetValue(threads));
            var scales = NormCalibration.Measure(backend, SharedOptions.Graph(kind, graph), chosen, ids, beginning, window, new WindowReport("calibration"), cancel);
            var frozen = new FreezeNorms(scales, Math.Max(window, ContextLength.Trained(file) ?? ContextLength.Default)).Apply(graph, new RewriteReport());
            var before = Perplexity.Compute(backend, SharedOptions.Graph(kind, graph), scored, beginning, window, new WindowReport("before"), cancel);
            var after = Perplexity.Compute(backend, SharedOptions.Graph(kind, frozen), scored, beginning, window, new WindowReport("after"), cancel);
            GraphFile.Write(file, frozen, arguments.GetValue(output)!, null, new NormRewriteCommand.TensorReport(), cancel);
            Progress.End();
            Print([.. NormSites.Of(graph).Where(s => scales.ContainsKey(s.Node)).Select(s => (s, scales[s.Node]))], before, after, arguments.GetValue(json));
            return 0;
        }));
        return command;
    }

    // The chosen norms, and the twins of the final one that hidden states read.
    private static HashSet<int> Choose(Graph graph, string[] patterns)
    {
        bool Depends(int node) => graph.Nodes[node].Op is Norm { Spec.Kind: NormKind.LayerNorm or NormKind.RmsNorm };
        var sites = NormSites.Of(graph).Where(s => Depends(s.Node)).ToList();
        if (sites.Count == 0) throw new ArgumentException("no norm depends on its rows, so there is nothing to freeze");
        var chosen = (patterns.Length == 0 ? sites : NormSites.Select(sites, patterns)).Select(s => s.Node).ToHashSet();
        if (!graph.HiddenStates.IsEmpty && chosen.Any(n => graph.Nodes[n].Op.Equals(graph.OpOf(graph.HiddenStates[^1])) && graph.Nodes[n].Block < 0) && Depends(graph.HiddenStates[^1].Node)) chosen.Add(graph.HiddenStates[^1].Node);
        return chosen;
    }

    private static void Print(List<(NormSite Site, FrozenScale Scale)> norms, PerplexityReport before, PerplexityReport after, bool json)
    {
        if (json)
        {
            object Loss(PerplexityReport r) => new { mean = r.All.MeanNll, median = r.MedianNll, p95 = r.P95Nll, perplexity = r.All.Perplexity, scored = r.All.Scored };
            Console.Out.WriteLine(JsonSerializer.Serialize(new { norms = norms.Select(n => new { name = n.Site.Name, alias = n.Site.Alias, denominators = n.Scale.Others, denominators_at_position_0 = n.Scale.First }), before = Loss(before), after = Loss(after) }));
            return;
        }
        Console.Out.WriteLine($"{"norm",-20}{"divides by",12}{"at position 0",16}");
        foreach (var (site, scale) in norms)
            Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{site.Name,-20}{scale.Others.Average(),12:G6}{scale.First.Average(),16:G6}{(site.Spec.Groups > 1 ? $"  mean of {site.Spec.Groups} groups" : "")}"));
        Console.Out.WriteLine();
        Console.Out.WriteLine($"{"",-8}{"mean NLL",12}{"median",12}{"p95",12}{"perplexity",14}");
        foreach (var (name, r) in new[] { ("before", before), ("after", after) })
            Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-8}{r.All.MeanNll,12:F4}{r.MedianNll,12:F4}{r.P95Nll,12:F4}{r.All.Perplexity,14:F3}"));
    }

    private sealed class WindowReport(string what) : IProgress<(int Done, int Total)>
    {
        public void Report((int Done, int Total) value) => Progress.Show(what, value.Done, value.Total);
    }
}
