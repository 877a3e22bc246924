using System.CommandLine;
using System.Text.Json;
using Tare.Conversion;
using Tare.Formats;

namespace Tare.Cli.Commands;

/// <summary><c>tare quantize</c>: a GGUF file with its matrices in another type, from a GGUF file or a checkpoint folder.</summary>
internal static class QuantizeCommand
{
    public static Command Create()
    {
        Option<string> model = SharedOptions.Model(), output = SharedOptions.Output();
        Option<string> type = Type("--type", "Type of the matrices"), outputType = Type("--output-tensor-type", "Type of the output matrix"), embedding = Type("--token-embedding-type", "Type of the token embedding");
        type.Required = true;
        var pure = new Option<bool>("--pure") { Description = "All matrices get the type, also the output matrix." };
        var bare = new Option<bool>("--no-vocab") { Description = "Leave the vocabulary of a checkpoint folder out." };
        var threads = SharedOptions.Threads();
        var json = SharedOptions.Json();
        var command = new Command("quantize", "Write a GGUF file with its matrices in another type, from a GGUF file or a checkpoint folder.") { model, type, output, outputType, embedding, pure, bare, threads, json };
        command.SetAction((arguments, cancel) => Task.Run(() =>
        {
            TensorType? Chosen(Option<string> option) => arguments.GetValue(option) is { } name ? Enum.Parse<TensorType>(name) : null;
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            var policy = new TypePolicy(Chosen(type)!.Value, arguments.GetValue(pure), Chosen(outputType), Chosen(embedding));
            var work = new Requantization(file, policy, arguments.GetValue(bare) ? VocabularyUse.None : VocabularyUse.Required);
            string target = arguments.GetValue(output)!;
            work.Write(target, new ElementReport(), arguments.GetValue(threads), cancel);
            Progress.End();
            foreach (string note in work.Notes) Console.Error.WriteLine($"note: {note}");
            long before = file.Tensors.Sum(t => t.ByteLength), after = work.Tensors.Sum(t => t.Bytes), elements = work.Tensors.Sum(t => t.Elements);
            if (arguments.GetValue(json)) WriteJson(work, before, after, elements);
            else WriteTable(work, before, after, elements);
            return 0;
        }));
        return command;
    }

    private static Option<string> Type(string name, string what)
    {
        var option = new Option<string>(name) { Description = $"{what}: {string.Join(", ", Requantization.Types)}." };
        option.AcceptOnlyFromAmong([.. Requantization.Types.Select(t => t.ToString())]);
        return option;
    }

    private static void WriteJson(Requantization work, long before, long after, long elements) => Console.Out.WriteLine(JsonSerializer.Serialize(new
    {
        bytes_before = before,
        bytes_after = after,
        bits_per_weight = 8.0 * after / elements,
        types = work.Tensors.GroupBy(t => t.To).ToDictionary(g => g.Key.ToString(), g => new { tensors = g.Count(), bytes = g.Sum(t => t.Bytes) }),
        notes = work.Notes,
        tensors = work.Tensors.Select(t => new { name = t.Name, from = t.From.ToString(), to = t.To.ToString(), reason = t.Reason, bytes = t.Bytes }),
    }));

    private static void WriteTable(Requantization work, long before, long after, long elements)
    {
        foreach (var group in work.Tensors.GroupBy(t => (t.From, t.To, t.Reason)))
            Console.Out.WriteLine($"{group.Count(),5} tensors {group.Sum(t => t.Bytes),16:N0} bytes  {group.Key.From} → {group.Key.To}{(group.Key.Reason is null ? "" : $"  ({group.Key.Reason})")}");
        Console.Out.WriteLine(FormattableString.Invariant($"{before:N0} → {after:N0} bytes, {8.0 * after / elements:F2} bits per weight"));
    }

    private sealed class ElementReport : IProgress<(long Done, long Total)>
    {
        public void Report((long Done, long Total) value) => Progress.Show("million elements", value.Done / 1_000_000, value.Total / 1_000_000);
    }
}
