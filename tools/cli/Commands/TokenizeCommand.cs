using System.CommandLine;
using System.Text.Json;
using Tare.Formats;
using Tare.Tokenizers;

namespace Tare.Cli.Commands;

/// <summary><c>tare tokenize</c>: a JSON array of strings on stdin, an array of id arrays on stdout.</summary>
internal static class TokenizeCommand
{
    public static Command Create()
    {
        var model = SharedOptions.Model();
        var json = new Option<bool>("--json") { Description = "The form of input and output (the only one)." };
        var noAdd = new Option<bool>("--no-add-special") { Description = "Add no BOS and no EOS." };
        var noParse = new Option<bool>("--no-parse-special") { Description = "Treat control tokens in a text as text." };
        var command = new Command("tokenize", "Turn a JSON array of strings on stdin into an array of id arrays.") { model, json, noAdd, noParse };
        command.SetAction(arguments =>
        {
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            var tokenizer = Tokenizer.Of(file);
            string[] texts = StandardInput.Read<string[]>("an array of strings");
            Console.Out.WriteLine(JsonSerializer.Serialize(Array.ConvertAll(texts, t => tokenizer.Encode(t, !arguments.GetValue(noAdd), !arguments.GetValue(noParse)))));
            return 0;
        });
        return command;
    }
}

/// <summary><c>tare detokenize</c>: a JSON array of id arrays on stdin, an array of strings on stdout.</summary>
internal static class DetokenizeCommand
{
    public static Command Create()
    {
        var model = SharedOptions.Model();
        var json = new Option<bool>("--json") { Description = "The form of input and output (the only one)." };
        var skip = new Option<bool>("--skip-special") { Description = "Leave control tokens out." };
        var command = new Command("detokenize", "Turn a JSON array of id arrays on stdin into an array of strings.") { model, json, skip };
        command.SetAction(arguments =>
        {
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            var tokenizer = Tokenizer.Of(file);
            int[][] lists = StandardInput.Read<int[][]>("an array of arrays of ids");
            Console.Out.WriteLine(JsonSerializer.Serialize(Array.ConvertAll(lists, ids => tokenizer.Decode(ids, arguments.GetValue(skip)))));
            return 0;
        });
        return command;
    }
}

/// <summary>JSON on standard input.</summary>
internal static class StandardInput
{
    public static T Read<T>(string expected)
    {
        using var stream = Console.OpenStandardInput();
        try
        {
            var value = JsonSerializer.Deserialize<T>(stream);
            if (value is Array items)
                foreach (object? item in items)
                    if (item is null) throw new UsageException($"stdin holds a null; {expected} is expected");
            return value ?? throw new UsageException($"stdin is null; {expected} is expected");
        }
        catch (JsonException e)
        {
            throw new UsageException($"stdin is not {expected} ({e.Message})");
        }
    }
}
