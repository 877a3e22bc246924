using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Tare.Cli;

/// <summary>Help that leaves out the arguments of the commands above: <c>tare capture bench</c> takes no file although <c>tare capture</c> does.</summary>
internal sealed class HelpOfSubcommand(HelpAction help) : SynchronousCommandLineAction
{
    /// <summary>Replaces the help of a command and all below it.</summary>
    public static void Use(RootCommand root)
    {
        foreach (var option in root.Options.OfType<HelpOption>())
            if (option.Action is HelpAction action) option.Action = new HelpOfSubcommand(action);
    }

    /// <summary>Names of a command and those above it, as a user types them behind <c>tare</c>.</summary>
    public static string PathOf(Command command) => string.Concat(Above(command).Reverse().Append(command).Where(c => c is not RootCommand).Select(c => $"{c.Name} "));

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        foreach (var argument in Above(parseResult.CommandResult.Command).SelectMany(c => c.Arguments)) argument.Hidden = true;
        return help.Invoke(parseResult);
    }

    private static IEnumerable<Command> Above(Command command)
    {
        for (var above = command.Parents.OfType<Command>().FirstOrDefault(); above is not null; above = above.Parents.OfType<Command>().FirstOrDefault()) yield return above;
    }
}
