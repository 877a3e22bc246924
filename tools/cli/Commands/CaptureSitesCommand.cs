using System.CommandLine;
using System.Text.Json;
using Tare.Capture;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;

namespace Tare.Cli.Commands;

/// <summary><c>tare capture sites</c>: the places of a model that can be captured.</summary>
internal static class CaptureSitesCommand
{
    public static Command Create()
    {
        var model = SharedOptions.Model();
        var sites = new Option<string>("--sites") { Description = "Show these only.", DefaultValueFactory = _ => "**" };
        var norm = SharedOptions.Norm();
        var json = SharedOptions.Json();
        var command = new Command("sites", "List the sites of a model.") { model, sites, norm, json };
        command.SetAction(arguments =>
        {
            using var opened = ModelFile.Open(arguments.GetValue(model)!);
            Graph own = ArchitectureRegistry.Build(opened), graph = SharedOptions.WithNorms(own, arguments.GetValue(norm));
            string coordinates = SharedOptions.Coordinates(own, graph, arguments.GetValue(norm));
            var found = SiteSelector.Select(SiteMap.Of(graph), arguments.GetValue(sites)!);
            if (arguments.GetValue(json)) Console.Out.WriteLine(JsonSerializer.Serialize(found.Select(s => new { name = s.Name, block = s.Block, width = s.Width, editable = s.IsEditable, form = s.Form.ToString(), coordinates })));
            else
                foreach (var site in found) Console.Out.WriteLine($"{site.Name,-40}{site.Width,8}{(coordinates == "raw" ? "" : $"  {coordinates}")}");
            return 0;
        });
        return command;
    }
}
