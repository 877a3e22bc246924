using System.CommandLine;
using Tare.Cli.Commands;
using Tare.Cli.Commands.Norms;
using Tare.Execution;
using Tare.Formats;
using Tare.Generation;
using Tare.Graphs;
using Tare.Rewrites;

namespace Tare.Cli;

/// <summary>The command <c>tare</c>: data on stdout, all else on stderr; exit codes 0, 1 (failed), 2 (usage), 130 (interrupted).</summary>
internal static class Program
{
    private const int Interrupted = 130;

    private static readonly (string Name, Func<Command> Create)[] Commands =
    [
        ("run", RunCommand.Create), ("perplexity", PerplexityCommand.Create), ("synth", SynthCommand.Create), ("bench", BenchCommand.Create), ("capture", CaptureCommand.Create), ("quantize", QuantizeCommand.Create),
        ("norm", NormCommand.Create), ("inspect", InspectCommand.Create), ("export", ExportCommand.Create), ("graph", GraphCommand.Create), ("logits", LogitsCommand.Create), ("embed", EmbedCommand.Create),
        ("tokenize", TokenizeCommand.Create), ("detokenize", DetokenizeCommand.Create), ("models", ModelsCommand.Create), ("doctor", DoctorCommand.Create),
    ];

    private static async Task<int> Main(string[] arguments)
    {
        var root = new RootCommand("Tare: a normalization-aware inference engine for language models.");
        // A start makes the command that it names alone: most of the time before a first token would go into the others.
        bool named = arguments.Length > 0 && Commands.Any(c => c.Name == arguments[0]);
        foreach (var (name, create) in Commands)
            if (!named || name == arguments[0]) root.Add(create());
        HelpOfSubcommand.Use(root);
        var parsed = root.Parse(EditFlags.Join(arguments));
        if (parsed.Errors.Count > 0)
        {
            await Console.Error.WriteLineAsync($"tare: {(arguments.Length == 0 ? "give a command" : parsed.Errors[^1].Message.ReplaceLineEndings(" "))} (tare {HelpOfSubcommand.PathOf(parsed.CommandResult.Command)}--help)");
            return 2;
        }
        try
        {
            // Work runs off this thread, so that an interrupt ends the process after the time-out even in the middle of a long step.
            int code = await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromSeconds(2) });
            if (code == Interrupted) await Console.Error.WriteLineAsync("tare: interrupted");
            return code;
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync("tare: interrupted");
            return Interrupted;
        }
        catch (UsageException e)
        {
            await Console.Error.WriteLineAsync($"tare: {e.Message}");
            return 2;
        }
        catch (Exception e) when (e is ModelFileException or GraphException or RewriteRefusedException or UnsupportedOpException or ContextFullException or ArgumentException or IOException or UnauthorizedAccessException or OutOfMemoryException)
        {
            await Console.Error.WriteLineAsync($"tare: {e.Message.ReplaceLineEndings(" ")}");
            return 1;
        }
    }
}

/// <summary>Arguments that parse but make no sense together: exit code 2.</summary>
internal sealed class UsageException(string message) : Exception(message);
