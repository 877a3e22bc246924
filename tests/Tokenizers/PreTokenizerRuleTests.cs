using System.Text.Json;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Tests.Support;
using Tare.Tokenizers;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tests.Tokenizers;

/// <summary>
/// The rules of <c>tokenizer.ggml.pre</c> over small vocabularies: each is put into a GGUF with its rule and must give the ids of the tokenizer that it was made for. Texts that the
/// tokenizer normalizes are left out, since rules of this format don't. Where the tokenizer takes whole words before merging and the rule does not, only the pieces can be compared.
/// </summary>
public sealed class PreTokenizerRuleTests
{
    [ConformanceTheory("tokenizers-hf")]
    [InlineData("llama3", "llama-bpe")]
    [InlineData("gpt2", "gpt-2")]
    [InlineData("smollm2-style", "smollm")]
    [InlineData("qwen2", "qwen2")]
    [InlineData("tekken", "tekken")]
    [InlineData("deepseek3", "deepseek-v3")]
    public void A_rule_gives_the_ids_of_the_tokenizer_that_it_was_made_for(string name, string rule)
    {
        string root = SharedData.Conformance("tokenizers-hf")!, path = Path.Combine(Path.GetTempPath(), $"tare-{Guid.NewGuid():n}.gguf");
        try
        {
            WriteGguf(path, Path.Combine(root, $"{name}.tokenizer.json"), rule);
            using var file = (GgufFile)ModelFile.Open(path);
            var tokenizer = Tokenizer.FromGguf(file);
            using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(root, $"{name}.cases.json")));
            int compared = 0;
            foreach (var c in json.RootElement.GetProperty("cases").EnumerateArray())
            {
                string text = c.GetProperty("text").GetString()!;
                int[] expected = [.. c.GetProperty("ids").EnumerateArray().Select(i => i.GetInt32())];
                if (c.GetProperty("decoded").GetString() != text) continue;
                compared++;
                tokenizer.Encode(text, addSpecial: false).ShouldBe(expected, c.GetProperty("name").GetString());
            }
            compared.ShouldBeGreaterThan(50);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [ConformanceTheory("tokenizers-hf")]
    [InlineData("llama3", "llama-bpe")]
    [InlineData("qwen2", "qwen2")]
    [InlineData("tekken", "tekken")]
    [InlineData("deepseek3", "deepseek-v3")]
    [InlineData("o200k", "gpt-4o")]
    public void A_rule_cuts_where_the_tokenizers_own_expressions_cut(string name, string rule)
    {
        string root = SharedData.Conformance("tokenizers-hf")!;
        using var tokenizer = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(root, $"{name}.tokenizer.json")));
        using var cases = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(root, $"{name}.cases.json")));
        string[] own = [.. tokenizer.RootElement.GetProperty("pre_tokenizer").GetProperty("pretokenizers").EnumerateArray()
            .Where(p => p.GetProperty("type").GetString() == "Split").Select(p => p.GetProperty("pattern").GetProperty("Regex").GetString()!)];
        own.ShouldNotBeEmpty();
        foreach (var c in cases.RootElement.GetProperty("cases").EnumerateArray())
        {
            int[] points = CodePoints.Of(c.GetProperty("text").GetString()!);
            Cut(points, PreTokenizerRules.Find(rule)!).ShouldBe(Cut(points, own), c.GetProperty("name").GetString());
        }
    }

    private static List<(int Start, int End)> Cut(int[] points, string[] expressions)
    {
        List<(int Start, int End)> pieces = [(0, points.Length)];
        foreach (string expression in expressions)
        {
            var pattern = new CodePointPattern(expression);
            var finer = new List<(int Start, int End)>();
            foreach (var (start, end) in pieces) pattern.Split(points, start, end, finer);
            pieces = finer;
        }
        return pieces;
    }

    private static void WriteGguf(string path, string tokenizerJson, string rule)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(tokenizerJson));
        var model = json.RootElement.GetProperty("model");
        var added = json.RootElement.GetProperty("added_tokens").EnumerateArray().ToArray();
        int size = Math.Max(model.GetProperty("vocab").EnumerateObject().Max(v => v.Value.GetInt32()), added.Max(a => a.GetProperty("id").GetInt32())) + 1;
        var tokens = new string[size];
        int[] kinds = [.. Enumerable.Repeat(1, size)];
        foreach (var entry in model.GetProperty("vocab").EnumerateObject()) tokens[entry.Value.GetInt32()] = entry.Name;
        foreach (var entry in added)
        {
            int id = entry.GetProperty("id").GetInt32();
            (tokens[id], kinds[id]) = (entry.GetProperty("content").GetString()!, entry.GetProperty("special").GetBoolean() ? 3 : 4);
        }
        string[] merges = [.. model.GetProperty("merges").EnumerateArray().Select(m => m.ValueKind == JsonValueKind.String ? m.GetString()! : $"{m[0].GetString()} {m[1].GetString()}")];
        GgufWriter.Write(path,
        [
            ("tokenizer.ggml.model", GgufValueType.String, "gpt2"), ("tokenizer.ggml.pre", GgufValueType.String, rule),
            ("tokenizer.ggml.tokens", GgufValueType.Array, new GgufArray(GgufValueType.String, tokens)),
            ("tokenizer.ggml.token_type", GgufValueType.Array, new GgufArray(GgufValueType.Int32, kinds)),
            ("tokenizer.ggml.merges", GgufValueType.Array, new GgufArray(GgufValueType.String, merges)),
        ], []);
    }
}
