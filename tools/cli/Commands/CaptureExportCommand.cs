using System.CommandLine;
using Tare.Capture.Jobs;
using Tare.Formats;

namespace Tare.Cli.Commands;

/// <summary><c>tare capture export</c>: statistics or rows for NumPy and spreadsheets.</summary>
internal static class CaptureExportCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("file") { Description = "A merged statistics file, or a chunk of statistics or rows." };
        var format = new Option<string>("--format") { Description = "npz or csv.", DefaultValueFactory = _ => "npz" };
        format.AcceptOnlyFromAmong("npz", "csv");
        var output = SharedOptions.Output();
        var command = new Command("export", "Write a capture as .npz or .csv.") { file, format, output };
        command.SetAction(arguments =>
        {
            string path = arguments.GetValue(file)!, target = arguments.GetValue(output)!;
            if (Path.GetFullPath(path) == Path.GetFullPath(target)) throw new UsageException("export: the output is the input");
            if (Directory.Exists(path)) throw new ModelFileException(path, "is a folder: name one of its chunks, or merge them first (tare capture merge)");
            if (arguments.GetValue(format) == "npz") Export.ToNpz(path, target);
            else Export.ToCsv(path, target);
            return 0;
        });
        return command;
    }
}
