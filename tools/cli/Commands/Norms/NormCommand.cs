using System.CommandLine;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Rewrites;

namespace Tare.Cli.Commands.Norms;

/// <summary><c>tare norm</c>: norms shown, rewritten, compared, frozen, timed.</summary>
internal static class NormCommand
{
    public static Command Create() => new("norm", "Show, rewrite, compare, freeze and time norms.") { NormShowCommand.Create(), NormVerdictCommand.Create(), NormRewriteCommand.Create(), NormVerifyCommand.Create(), NormFreezeCommand.Create(), NormBenchCommand.Create() };

    /// <summary>The target of a rewrite.</summary>
    public static Option<string?> To(bool required)
    {
        var option = new Option<string?>("--to") { Description = $"What the norms become: {string.Join(", ", NormRewrites.Targets.Keys)}.", Required = required };
        option.AcceptOnlyFromAmong([.. NormRewrites.Targets.Keys]);
        return option;
    }

    /// <summary>The graph of a model that gives logits.</summary>
    public static Graph GraphOf(ModelFile file)
    {
        var graph = ArchitectureRegistry.Build(file);
        return graph.FindOutput(GraphBuilder.LogitsOutput) is null ? throw new ModelFileException(file.Path, "the model has no head, so it gives no logits") : graph;
    }
}

/// <summary>Options of the passes.</summary>
internal sealed class NormRewriteFlags
{
    private readonly Option<bool> _untie = new("--untie") { Description = "Give a tied head a matrix of its own." };
    private readonly Option<bool> _fold = new("--fold-affine") { Description = "Fold gains and biases for --to rms too." };
    private readonly Option<string?> _drop = new("--drop") { Description = "crms: the coordinate that is not stored: least (least harmful, the default), last, or an index." };
    private readonly Option<bool> _pad = new("--pad") { Description = "crms, crms-isometric: keep the row length by a zero coordinate." };

    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _untie, _fold, _drop, _pad }) command.Add(option);
    }

    public NormRewriteOptions Options(ParseResult arguments) => new()
    {
        Untie = arguments.GetValue(_untie),
        FoldAffine = arguments.GetValue(_fold),
        Pad = arguments.GetValue(_pad),
        Drop = arguments.GetValue(_drop) switch
        {
            null or "least" => null,
            "last" => -1,
            var text => int.TryParse(text, out int index) && index >= 0 ? index : throw new UsageException($"--drop {text}: give least, last or an index"),
        },
    };
}
