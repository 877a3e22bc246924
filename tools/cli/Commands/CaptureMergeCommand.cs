using System.CommandLine;
using Tare.Capture.Jobs;

namespace Tare.Cli.Commands;

/// <summary><c>tare capture merge</c>: the chunks of all shards as one file.</summary>
internal static class CaptureMergeCommand
{
    public static Command Create()
    {
        var folders = new Argument<string[]>("folders") { Description = "Folders that tare capture --stats wrote, one a shard.", Arity = ArgumentArity.OneOrMore };
        var output = SharedOptions.Output();
        var partial = new Option<bool>("--partial") { Description = "Merge what is there although chunks are missing." };
        var command = new Command("merge", "Merge statistics; any sharding gives the same bits.") { folders, output, partial };
        command.SetAction(arguments =>
        {
            CaptureMerge.Run(arguments.GetValue(folders)!, arguments.GetValue(output)!, arguments.GetValue(partial));
            return 0;
        });
        return command;
    }
}
