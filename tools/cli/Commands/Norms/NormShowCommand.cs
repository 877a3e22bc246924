using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Spectre.Console;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Rewrites;

namespace Tare.Cli.Commands.Norms;

/// <summary><c>tare norm show</c>: every norm, and what it could become.</summary>
internal static class NormShowCommand
{
    public static Command Create()
    {
        var model = SharedOptions.Model();
        var json = SharedOptions.Json();
        var command = new Command("show", "List every norm, and what the norms could become and why not.") { model, json };
        command.SetAction(arguments =>
        {
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            var graph = ArchitectureRegistry.Build(file);
            var sites = NormSites.Of(graph);
            var targets = NormRewrites.Targets.Select(t => (t.Key, Refusal: Refusal(graph, t.Value))).ToList();
            if (arguments.GetValue(json)) WriteJson(sites, targets);
            else WriteTables(sites, targets);
            return 0;
        });
        return command;
    }

    private static string? Refusal(Graph graph, NormTarget target)
    {
        try
        {
            NormRewrites.Apply(graph, target, new RewriteReport(), new NormRewriteOptions { Drop = -1 });
            return null;
        }
        catch (RewriteRefusedException refusal)
        {
            return refusal.Message;
        }
    }

    private static void WriteTables(IReadOnlyList<NormSite> sites, List<(string Name, string? Refusal)> targets)
    {
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 300;
        var table = new Table { Border = TableBorder.Simple }.AddColumn("norm").AddColumn("kind").AddColumn("ε").AddColumn("width").AddColumn("gain").AddColumn("bias").AddColumn("mean").AddColumn("gain and bias");
        foreach (var s in sites)
            table.AddRow(new Text(s.Alias.Length > 0 ? $"{s.Name} ({s.Alias})" : s.Name), new Text(Kind(s.Spec)), new Text(s.Spec.Epsilon.ToString("G4", CultureInfo.InvariantCulture)),
                new Text(s.Spec.Groups == 1 ? $"{s.Width}" : $"{s.Spec.Groups} × {s.Width / s.Spec.Groups}"), new Text(Range(s.Gain)), new Text(Range(s.Bias)),
                new Text(s.Center switch { null => "–", "" => "can go", var why => $"stays: {why}" }), new Text(s.Fold switch { null => "–", "" => "can fold", var why => $"stay: {why}" }));
        AnsiConsole.Write(table);
        foreach (var (name, refusal) in targets) Console.Out.WriteLine(refusal is null ? $"  --to {name,-15} yes" : $"  --to {name,-15} no: {refusal}");
    }

    private static string Kind(NormSpec spec) => spec.Kind + (spec.GainOffset == 1 ? " 1+w" : "") + (spec.Center ? " centered" : "");

    private static string Range((double Least, double Largest)? range)
        => range is { } r ? string.Create(CultureInfo.InvariantCulture, $"{r.Least:G4} … {r.Largest:G4}") : "–";

    private static void WriteJson(IReadOnlyList<NormSite> sites, List<(string Name, string? Refusal)> targets) => Console.Out.WriteLine(JsonSerializer.Serialize(new
    {
        norms = sites.Select(s => new
        {
            name = s.Name,
            alias = s.Alias,
            node = s.Node,
            kind = s.Spec.Kind.ToString(),
            epsilon = s.Spec.Epsilon,
            width = s.Width,
            groups = s.Spec.Groups,
            gain = s.Gain is { } g ? new[] { g.Least, g.Largest } : null,
            bias = s.Bias is { } b ? new[] { b.Least, b.Largest } : null,
            can_lose_mean = s.Center is null ? (bool?)null : s.Center.Length == 0,
            why_mean_stays = string.IsNullOrEmpty(s.Center) ? null : s.Center,
            can_fold = s.Fold is null ? (bool?)null : s.Fold.Length == 0,
            why_affine_stays = string.IsNullOrEmpty(s.Fold) ? null : s.Fold,
        }),
        targets = targets.ToDictionary(t => t.Name, t => new { possible = t.Refusal is null, reason = t.Refusal }),
    }));
}
