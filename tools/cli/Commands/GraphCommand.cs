using System.CommandLine;
using System.Text.Json;
using Tare.Formats;
using Tare.Fusion;
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
        var fused = new Option<bool>("--fused") { Description = "As the CPU runs it: ops joined where one kernel does their work." };
        var precision = SharedOptions.Precision();
        var command = new Command("graph", "Print the typed graph of a model.") { model, json, fused, precision };
        command.SetAction(arguments =>
        {
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            var graph = SharedOptions.Graph(arguments.GetValue(precision)!, ArchitectureRegistry.Build(file));
            if (arguments.GetValue(fused))
            {
                using var backend = SharedOptions.Backend(arguments.GetValue(precision)!, 1);
                graph = Fuser.Apply(graph, op => backend.Supports(op, out _));
            }
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
