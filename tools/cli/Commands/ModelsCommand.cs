using System.CommandLine;
using Tare.Models;

namespace Tare.Cli.Commands;

/// <summary><c>tare models</c>: the architectures that can be loaded.</summary>
internal static class ModelsCommand
{
    public static Command Create()
    {
        var markdown = new Option<bool>("--markdown") { Description = "Print the table of the documentation." };
        var json = SharedOptions.Json();
        var command = new Command("models", "List the architectures that Tare can load.") { markdown, json };
        command.SetAction(arguments =>
        {
            if (arguments.GetValue(json)) Console.Out.WriteLine(System.Text.Json.JsonSerializer.Serialize(new { gguf = ArchitectureRegistry.GgufNames, hugging_face = ArchitectureRegistry.HuggingFaceNames }));
            else if (arguments.GetValue(markdown)) Console.Out.Write(ArchitectureRegistry.Markdown());
            else Console.Out.WriteLine($"GGUF: {string.Join(", ", ArchitectureRegistry.GgufNames)}\nHugging Face: {string.Join(", ", ArchitectureRegistry.HuggingFaceNames)}");
            return 0;
        });
        return command;
    }
}
