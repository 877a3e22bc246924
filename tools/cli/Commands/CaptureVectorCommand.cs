using System.CommandLine;
using System.Runtime.InteropServices;
using Tare.Capture;
using Tare.Capture.Editing;
using Tare.Capture.Statistics;
using Tare.Formats;
using Tare.Formats.Safetensors;

namespace Tare.Cli.Commands;

/// <summary><c>tare capture vector</c>: what tells one set of texts from another, as a vector to add – a GGUF control vector, or tensors named after sites.</summary>
internal static class CaptureVectorCommand
{
    public static Command Create()
    {
        Argument<string> positive = new("positive") { Description = "Statistics of the texts that the vector leads to (tare capture --channels, merged)." }, negative = new("negative") { Description = "Statistics of the others." };
        var output = new Option<string>("-o", "--output") { Description = "A .gguf control vector (direction N is measured behind layer N − 1 and added behind layer N, as llama.cpp does), or a .safetensors with a tensor for each site.", Required = true };
        var group = new Option<string?>("--group") { Description = $"Rows that count: {string.Join(", ", RowGroup.Names)}, or {MeansBySite.AllGroups} (default: all but position 0)." };
        var normalize = new Option<bool>("--normalize") { Description = "Give each vector length 1." };
        var hint = new Option<string?>("--model-hint") { Description = "The architecture that a control vector says it is for." };
        var command = new Command("vector", "Make a steering vector: the difference of two means.") { positive, negative, output, group, normalize, hint };
        command.SetAction(arguments =>
        {
            StatisticsFile a = StatisticsFile.Read(arguments.GetValue(positive)!), b = StatisticsFile.Read(arguments.GetValue(negative)!);
            string target = arguments.GetValue(output)!;
            bool unit = arguments.GetValue(normalize);
            string? rows = arguments.GetValue(group);
            if (target.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))
            {
                ControlVector.Difference(a, b, rows, unit, arguments.GetValue(hint)).Write(target);
                return 0;
            }
            if (!target.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase)) throw new UsageException($"-o {target}: name a .gguf or a .safetensors file");
            List<string> sites = [.. a.Sites.Where(s => s.Channels is not null && b.Sites.Any(o => o.Site.Name == s.Site.Name)).Select(s => s.Site.Name)];
            if (sites.Count == 0) throw new EditException($"{a.Path} and {b.Path} have no site with channel means in common (capture with --channels)");
            SafetensorsWriter.Write(target, [.. sites.Select(site =>
            {
                float[] values = Array.ConvertAll(MeanDifference.Of(a, b, site, rows, unit), v => (float)v);
                return new TensorToWrite(site, TensorType.F32, [values.Length], stream => stream.Write(MemoryMarshal.AsBytes<float>(values)));
            })]);
            return 0;
        });
        return command;
    }
}
