using System.CommandLine;
using System.Text.Json;
using Tare.Conversion;
using Tare.Formats;
using Tare.Formats.Gguf;

namespace Tare.Cli.Commands;

/// <summary><c>tare quantize</c>: a GGUF file with its matrices in another type.</summary>
internal static class QuantizeCommand
{
    public static Command Create()
    {
        Option<string> model = SharedOptions.Model(), output = SharedOptions.Output();
        var type = new Option<string>("--type") { Description = $"Type of the matrices: {string.Join(", ", Requantization.Types)}.", Required = true };
        type.AcceptOnlyFromAmong([.. Requantization.Types.Select(t => t.ToString())]);
        var json = SharedOptions.Json();
        var command = new Command("quantize", "Write a GGUF file with its matrices in another type.") { model, type, output, json };
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            if (file is not GgufFile gguf) throw new ModelFileException(file.Path, "only GGUF files can be quantized");
            var wanted = Enum.Parse<TensorType>(arguments.GetValue(type)!);
            string target = arguments.GetValue(output)!;
            Requantization.Write(gguf, target, wanted, new TensorReport(), cancel);
            Progress.End();
            var plan = Requantization.Plan(gguf, wanted);
            long before = new FileInfo(gguf.Path).Length, after = new FileInfo(target).Length;
            if (arguments.GetValue(json))
                Console.Out.WriteLine(JsonSerializer.Serialize(new { bytes_before = before, bytes_after = after, tensors = plan.Select(t => new { name = t.Name, from = t.From.ToString(), to = t.To.ToString(), reason = t.Reason }) }));
            else
            {
                foreach (var group in plan.GroupBy(t => (t.From, t.To, t.Reason))) Console.Out.WriteLine($"{group.Count(),5} tensors  {group.Key.From} → {group.Key.To}{(group.Key.Reason is null ? "" : $"  ({group.Key.Reason})")}");
                Console.Out.WriteLine($"{before:N0} → {after:N0} bytes");
            }
            return 0;
        }));
        return command;
    }

    private sealed class TensorReport : IProgress<(int Done, int Total)>
    {
        public void Report((int Done, int Total) value) => Progress.Show("tensors", value.Done, value.Total);
    }
}
