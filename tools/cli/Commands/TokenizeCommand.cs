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
            var tokenizer = TokenizerFile.Read(arguments.GetValue(model)!);
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
            var tokenizer = TokenizerFile.Read(arguments.GetValue(model)!);
            int[][] lists = StandardInput.Read<int[][]>("an array of arrays of ids");
            Console.Out.WriteLine(JsonSerializer.Serialize(Array.ConvertAll(lists, ids => tokenizer.Decode(ids, arguments.GetValue(skip)))));
            return 0;
        });
        return command;
    }
}

/// <summary>Where a tokenizer can come from: any model file, a folder with a tokenizer.json, or that file alone.</summary>
internal static class TokenizerFile
{
    public static Tokenizer Read(string path)
    {
        if (path.EndsWith(".json", StringComparison.OrdinalIgnoreCase)) return Tokenizer.FromJson(path);
        if (Directory.Exists(path) && Path.Combine(path, "tokenizer.json") is var json && File.Exists(json)) return Tokenizer.FromJson(json); // the folder may hold no weights yet
        using var file = ModelFile.Open(path);
        return Tokenizer.Of(file);
    }
}
