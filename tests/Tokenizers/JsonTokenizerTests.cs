using System.Text.Json;
using System.Text.Json.Nodes;
using Tare.Formats;
using Tare.Tests.Support;
using Tare.Tokenizers;

namespace Tare.Tests.Tokenizers;

/// <summary>tokenizer.json files of all component sets, id for id and character for character.</summary>
public sealed class JsonTokenizerTests
{
    /// <summary>Each NAME.cases.json; one stand-in where the data is absent (the tests are skipped then).</summary>
    public static TheoryData<string> Files()
        => SharedData.Conformance("tokenizers-hf") is string root ? [.. Directory.GetFiles(root, "*.cases.json").Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal)] : ["none"];

    [ConformanceTheory("tokenizers-hf"), MemberData(nameof(Files))]
    public void Ids_and_texts_equal_the_reference(string file)
    {
        string root = SharedData.Conformance("tokenizers-hf")!;
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(root, file)));
        var tokenizer = Tokenizer.FromJson(Path.Combine(root, json.RootElement.GetProperty("tokenizer").GetProperty("file").GetString()!));
        foreach (var c in json.RootElement.GetProperty("cases").EnumerateArray())
        {
            string name = c.GetProperty("name").GetString()!, text = c.GetProperty("text").GetString()!;
            int[] ids = Ids(c, "ids"), withSpecial = Ids(c, "ids_with_special");
            tokenizer.Encode(text, addSpecial: false).ShouldBe(ids, name);
            tokenizer.Encode(text).ShouldBe(withSpecial, name);
            tokenizer.Encode(text, addSpecial: false, parseSpecial: false).ShouldBe(Ids(c, "ids_special_as_text"), name);
            tokenizer.Decode(ids).ShouldBe(c.GetProperty("decoded").GetString(), name);
            tokenizer.Decode(withSpecial).ShouldBe(c.GetProperty("decoded_with_special").GetString(), name);
            tokenizer.Decode(withSpecial, skipSpecial: true).ShouldBe(c.GetProperty("decoded_skip_special").GetString(), name);
            Streamed(tokenizer, ids).ShouldBe(c.GetProperty("decoded").GetString(), name);
        }
        foreach (var c in json.RootElement.GetProperty("decode").EnumerateArray()) tokenizer.Decode(Ids(c, "ids")).ShouldBe(c.GetProperty("decoded").GetString());
    }

    [Fact]
    public void Beginning_and_end_come_from_the_post_processor_else_from_the_config_else_from_nowhere()
    {
        string fable = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free");
        using var model = ModelFile.Open(fable);
        var tokenizer = Tokenizer.Of(model);
        tokenizer.Encode("Once upon a time")[0].ShouldBe(0);
        tokenizer.EndOfGeneration.ShouldBe([0]);
        string folder = Directory.CreateTempSubdirectory("tare-tokenizer-").FullName;
        try
        {
            string path = Path.Combine(folder, "tokenizer.json");
            var json = JsonNode.Parse(File.ReadAllText(Path.Combine(fable, "tokenizer.json")))!;
            File.WriteAllText(path, json.ToJsonString());
            Tokenizer.FromJson(path).Encode("Once upon a time")[0].ShouldNotBe(0);
            json["post_processor"] = new JsonObject { ["type"] = "BertProcessing", ["cls"] = new JsonArray("<|endoftext|>", 0), ["sep"] = new JsonArray("<|endoftext|>", 0) };
            File.WriteAllText(path, json.ToJsonString());
            Tokenizer.FromJson(path).Encode("Once")[^1].ShouldBe(0);
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    [Theory]
    [InlineData("normalizer", "Precompiled")]
    [InlineData("pre_tokenizer", "UnicodeScripts")]
    [InlineData("decoder", "CTC")]
    [InlineData("post_processor", "Unheard")]
    [InlineData("model", "Unigram")]
    public void Components_that_are_not_known_are_refused_by_name(string component, string type)
    {
        string path = Path.GetTempFileName();
        try
        {
            var json = JsonNode.Parse(File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free", "tokenizer.json")))!;
            if (component == "model") json["model"]!["type"] = type;
            else json[component] = new JsonObject { ["type"] = type };
            File.WriteAllText(path, json.ToJsonString());
            string message = Should.Throw<ModelFileException>(() => Tokenizer.FromJson(path)).Message;
            message.ShouldContain(component);
            message.ShouldContain($"'{type}'");
            message.ShouldContain("known:");
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Broken_files_end_in_one_error()
    {
        string source = File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln-free", "tokenizer.json"));
        string path = Path.GetTempFileName();
        var random = new Random(5);
        try
        {
            for (int i = 0; i < 40; i++)
            {
                var json = JsonNode.Parse(source)!;
                var node = json;
                while (node is JsonObject { Count: > 0 } o)
                {
                    string key = o.ElementAt(random.Next(o.Count)).Key;
                    if (o[key] is not JsonObject || random.Next(3) == 0)
                    {
                        o[key] = random.Next(3) switch { 0 => JsonValue.Create(-7), 1 => JsonValue.Create("x"), _ => new JsonArray(1, 2, 3) };
                        break;
                    }
                    node = o[key]!;
                }
                File.WriteAllText(path, json.ToJsonString());
                try
                {
                    Tokenizer.FromJson(path).Encode("some text");
                }
                catch (ModelFileException)
                {
                }
            }
            File.WriteAllText(path, source[..^100]);
            Should.Throw<ModelFileException>(() => Tokenizer.FromJson(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static int[] Ids(JsonElement c, string key) => [.. c.GetProperty(key).EnumerateArray().Select(i => i.GetInt32())];

    private static string Streamed(Tokenizer tokenizer, int[] ids)
    {
        var decoder = tokenizer.CreateDecoder();
        string text = "";
        foreach (int id in ids)
        {
            string piece = decoder.Push(id);
            piece.Any(c => char.IsLowSurrogate(c) && piece.IndexOf(c) == 0).ShouldBeFalse();
            text += piece;
        }
        return text + decoder.Flush();
    }
}
