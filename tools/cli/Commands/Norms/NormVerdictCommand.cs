using System.CommandLine;
using System.Text.Json;
using Tare.Formats;
using Tare.Models;
using Tare.Rewrites;

namespace Tare.Cli.Commands.Norms;

/// <summary><c>tare norm verdict</c>: for many models at once whether their norms may be rewritten, as a Markdown table.</summary>
internal static class NormVerdictCommand
{
    public static Command Create()
    {
        var models = new Argument<string[]>("MODEL") { Description = "Model files or checkpoint folders.", Arity = ArgumentArity.OneOrMore };
        var json = SharedOptions.Json();
        var command = new Command("verdict", "Say for each model whether its norms may be rewritten, and which node refuses.") { models, json };
        command.SetAction(arguments =>
        {
            var verdicts = arguments.GetValue(models)!.Select(path =>
            {
                using var file = ModelFile.Open(path);
                return (Name: Path.GetFileName(Path.TrimEndingDirectorySeparator(path)), Verdict: NormVerdict.Of(ArchitectureRegistry.Build(file)));
            }).ToList();
            if (arguments.GetValue(json))
                Console.Out.WriteLine(JsonSerializer.Serialize(verdicts.ToDictionary(v => v.Name, v => new { ln_to_rms = v.Verdict.LayerNormToRmsNorm, rms_to_crms = v.Verdict.RmsNormToCompressed, node = v.Verdict.Node, reason = v.Verdict.Reason })));
            else
            {
                Console.Out.Write(NormVerdict.MarkdownHeader);
                foreach (var (name, verdict) in verdicts) Console.Out.Write(verdict.MarkdownRow(name));
            }
            return 0;
        });
        return command;
    }
}
