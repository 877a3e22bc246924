using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Tare.Capture.Jobs;
using Tare.Capture.Plots;
using Tare.Capture.Statistics;
using Tare.Formats;

namespace Tare.Cli.Commands;

/// <summary><c>tare capture show</c>: statistics as a table, as JSON, and as SVG plots by depth; several models side by side.</summary>
internal static class CaptureShowCommand
{
    private static readonly RowFact[] Shown = [RowFact.Rms, RowFact.Mean, RowFact.AngleToUniformDeg, RowFact.Skewness, RowFact.ExcessKurtosis, RowFact.Participation, RowFact.Crest, RowFact.AbsMax, RowFact.NormRatioToStream, RowFact.CosineWithStream, RowFact.CosineOfStreamBeforeAfter];
    private static readonly string[] Titles = ["rms", "mean", "angle°", "skew", "kurtosis", "particip.", "crest", "max|x|", "ratio", "cosine", "before/after"];

    public static Command Create()
    {
        var files = new Argument<string[]>("files") { Description = "Merged statistics files or capture folders, one a model.", Arity = ArgumentArity.OneOrMore };
        var svg = new Option<string?>("--svg") { Description = "A folder for plots by depth." };
        var groups = new Option<string>("--groups") { Description = $"Rows to show: {string.Join(", ", RowGroup.Names)}, separated by commas; * stands for any part.", DefaultValueFactory = _ => "*/16-" };
        var json = SharedOptions.Json();
        var command = new Command("show", "Show statistics by site and depth.") { files, svg, groups, json };
        command.SetAction(arguments =>
        {
            var models = arguments.GetValue(files)!.Select(Read).ToList();
            int[] chosen = Groups(arguments.GetValue(groups)!);
            // Short texts have no late positions.
            if (arguments.GetResult(groups) is null or { Implicit: true } && !models.Any(m => m.Sites.Any(s => chosen.Any(g => s.Columns[g].Count > 0)))) chosen = Groups("*/1-15");
            if (arguments.GetValue(svg) is { } folder)
            {
                Directory.CreateDirectory(folder);
                foreach (var (name, text) in DepthPlots.Draw(Named(models), chosen)) WriteText(Path.Combine(folder, name), text);
            }
            if (arguments.GetValue(json)) Console.Out.WriteLine(JsonSerializer.Serialize(models.Select(m => new { file = m.Path, model = m.Name, metadata = m.Metadata, sites = m.Sites.Select(Json) })));
            else
                foreach (var model in models) Print(model, chosen);
            return 0;
        });
        return command;
    }

    private sealed record Shelf(string Path, string Name, IReadOnlyList<SiteStatistics> Sites, IReadOnlyDictionary<string, string> Metadata);

    private static Shelf Read(string path)
    {
        if (Directory.Exists(path))
        {
            var (sites, metadata) = CaptureMerge.Read([path], partial: true);
            return new Shelf(path, metadata["tare.model"], sites, metadata);
        }
        if (!File.Exists(path)) throw new ModelFileException(path, "no such file or folder");
        var file = StatisticsFile.Read(path);
        return new Shelf(path, file.Metadata.GetValueOrDefault("tare.model", Path.GetFileNameWithoutExtension(path)), file.Sites, file.Metadata);
    }

    private static List<(string, IReadOnlyList<SiteStatistics>)> Named(List<Shelf> models)
        => [.. models.Select((m, i) => (models.Count(o => o.Name == m.Name) > 1 ? $"{m.Name} ({Path.GetFileNameWithoutExtension(m.Path)})" : m.Name, m.Sites))];

    private static int[] Groups(string text)
    {
        int[] chosen = [.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).SelectMany(pattern => Enumerable.Range(0, RowGroup.Count).Where(g => System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(pattern, RowGroup.Names[g]))).Distinct().Order()];
        return chosen.Length > 0 ? chosen : throw new UsageException($"--groups {text}: none of {string.Join(", ", RowGroup.Names)}");
    }

    private static void Print(Shelf model, int[] groups)
    {
        long rows = model.Sites.Count == 0 ? 0 : groups.Sum(g => model.Sites[0].Columns[g].Count);
        string coordinates = model.Metadata.GetValueOrDefault("tare.coordinates", "raw");
        Console.Out.WriteLine($"{model.Name}: {rows} rows of {string.Join(", ", groups.Select(g => RowGroup.Names[g]))}; means over rows{(coordinates == "raw" ? "" : $"; coordinates {coordinates}")}");
        if (model.Sites.Any(s => !s.Site.IsHeads)) Console.Out.WriteLine($"{"site",-30}{string.Concat(Titles.Select(t => t.PadLeft(13)))}");
        foreach (var site in model.Sites.Where(s => !s.Site.IsHeads))
            Console.Out.WriteLine($"{site.Site.Name,-30}{string.Concat(Shown.Select(f => (RowFacts.NeedsPartner(f) && !site.Site.HasPartner ? "" : Show(DepthPlots.Mean(site, f, groups))).PadLeft(13)))}");
        PrintHeads([.. model.Sites.Where(s => s.Site.IsHeads)], groups);
        foreach (var site in model.Sites.Where(s => s.Skipped.Sum() > 0)) Console.Out.WriteLine($"{site.Site.Name}: {site.Skipped.Sum()} rows hold NaN or infinite elements and are left out");
    }

    // A line for each statistic of attention: all heads together, the lowest and the highest with their numbers, then every head.
    private static void PrintHeads(IReadOnlyList<SiteStatistics> sites, int[] groups)
    {
        if (sites.Count == 0) return;
        Console.Out.WriteLine($"{"heads",-30}{"mean",13}{"lowest (head)",18}{"highest (head)",18}  each head");
        foreach (var site in sites)
        {
            double[] heads = [.. Enumerable.Range(0, site.Site.Width).Select(h => DepthPlots.Together(site, h, groups) is { Count: > 0 } m ? m.Mean : double.NaN)];
            int low = Array.IndexOf(heads, heads.Min()), high = Array.IndexOf(heads, heads.Max());
            Console.Out.WriteLine($"{site.Site.Name,-30}{Show(heads.Average()),13}{$"{Show(heads[low])} ({low})",18}{$"{Show(heads[high])} ({high})",18}{string.Concat(heads.Select(h => Show(h).PadLeft(9)))}");
        }
    }

    private static string Show(double value) => double.IsNaN(value) ? "-" : value != 0 && Math.Abs(value) is < 1e-3 or >= 1e6 ? value.ToString("0.00e0", CultureInfo.InvariantCulture) : value.ToString("0.####", CultureInfo.InvariantCulture);

    private static object Json(SiteStatistics site) => new
    {
        site = site.Site.Name,
        width = site.Site.Width,
        groups = Enumerable.Range(0, RowGroup.Count).Where(g => site.Columns[g].Count > 0).ToDictionary(g => RowGroup.Names[g], g => (object)new
        {
            count = site.Columns[g].Count,
            skipped = site.Skipped[g],
            facts = Enumerable.Range(0, site.Columns[g].Columns).Where(c => site.Site.IsHeads || site.Site.HasPartner || !RowFacts.NeedsPartner((RowFact)c)).ToDictionary(c => site.Site.IsHeads ? $"head_{c}" : RowFacts.Names[c], c => Of(site.Columns[g][c])),
            elements = site.Site.IsHeads ? null : Of(site.Elements[g]),
        }),
    };

    private static object Of(Moments m) => new { mean = m.Mean, deviation = m.Deviation, skewness = m.Skewness, excess_kurtosis = m.ExcessKurtosis, min = m.Min, max = m.Max };

    private static void WriteText(string path, string text)
    {
        string temporary = path + ".tmp";
        File.WriteAllText(temporary, text);
        File.Move(temporary, path, overwrite: true);
    }
}
