using System.CommandLine;
using System.Text.Json;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;

namespace Tare.Cli.Commands;

/// <summary><c>tare graph</c>: the typed graph of a model.</summary>
internal static class GraphCommand
{
    public static Command Create()
    {
        var model = SharedOptions.Model();
        var json = SharedOptions.Json();
        var command = new Command("graph", "Print the typed graph of a model.") { model, json };
        command.SetAction(arguments =>
        {
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            var graph = ArchitectureRegistry.Build(file);
            if (!arguments.GetValue(json))
            {
                Console.Out.Write(GraphDump.ToText(graph));
                return 0;
            }
            using var stream = Console.OpenStandardOutput();
            using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true })) GraphDump.WriteJson(graph, writer);
            stream.Write("\n"u8);
            return 0;
        });
        return command;
    }
}
