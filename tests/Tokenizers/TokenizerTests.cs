using System.Text;
using System.Text.Json;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Tests.Support;
using Tare.Tokenizers;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tests.Tokenizers;

public sealed class TokenizerTests
{
    private const string Separator = "\n__ggml_vocab_test__\n";

    private static readonly string FablePath = Path.Combine(SharedData.RepositoryRoot, "models", "fable-ln.F16.gguf");

    public static TheoryData<string> Vocabularies()
        => SharedData.Conformance("tokenizers") is string root ? [.. Directory.GetFiles(root, "*.gguf").Order(StringComparer.Ordinal).Select(f => Path.GetFileName(f)!)] : ["none"];

    [ConformanceTheory("tokenizers")]
    [MemberData(nameof(Vocabularies))]
    public void Published_vectors_are_met_id_for_id_or_the_kind_is_refused_by_name(string vocabulary)
    {
        string path = Path.Combine(SharedData.Conformance("tokenizers")!, vocabulary);
        using var file = (GgufFile)ModelFile.Open(path);
        if (file.Metadata.FindString("tokenizer.ggml.model") is not ("gpt2" or "llama" or "bert") and var kind)
        {
            Should.Throw<ModelFileException>(() => Tokenizer.FromGguf(file)).Message.ShouldContain($"'{kind}'");
            return;
        }
        var tokenizer = Tokenizer.FromGguf(file);
        string[] texts = File.ReadAllText(path + ".inp").Split(Separator)[..^1];
        string[] lines = File.ReadAllLines(path + ".out");
        lines.Length.ShouldBe(texts.Length);
        for (int i = 0; i < texts.Length; i++)
        {
            int[] expected = [.. lines[i].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)];
            tokenizer.Encode(texts[i], addSpecial: false).ShouldBe(expected, $"case {i}");
            if (file.Metadata.FindString("tokenizer.ggml.model") == "bert") continue; // lower case and lost accents don't come back
            tokenizer.Decode(expected).ShouldBe(texts[i], $"case {i}");
            var decoder = tokenizer.CreateDecoder();
            (string.Concat(expected.Select(decoder.Push)) + decoder.Flush()).ShouldBe(texts[i], $"case {i}");
        }
    }

    [ConformanceFact("tokenizers-hf", "models/SmolLM2-135M-Instruct.Q4_1.gguf")]
    public void Tricky_strings_are_met_id_for_id_and_come_back()
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(SharedData.Conformance("tokenizers-hf")!, "cases.json")));
        foreach (var (name, path) in new[] { ("smollm2", SharedData.Model("SmolLM2-135M-Instruct.Q4_1.gguf")!), ("fable", FablePath) })
        {
            using var file = (GgufFile)ModelFile.Open(path);
            var tokenizer = Tokenizer.FromGguf(file);
            foreach (var c in json.RootElement.GetProperty("cases").EnumerateArray())
            {
                string text = c.GetProperty("text").GetString()!, label = $"{name}: {c.GetProperty("name").GetString()}";
                int[] Ids(string key) => [.. c.GetProperty(name).GetProperty(key).EnumerateArray().Select(i => i.GetInt32())];
                int[] ids = Ids("ids");
                tokenizer.Encode(text, addSpecial: false).ShouldBe(ids, label);
                tokenizer.Encode(text, addSpecial: false, parseSpecial: false).ShouldBe(Ids("ids_special_as_text"), label);
                tokenizer.Decode(ids).ShouldBe(text, label);
                var decoder = tokenizer.CreateDecoder();
                var streamed = new StringBuilder();
                foreach (int id in ids)
                {
                    string piece = decoder.Push(id);
                    if (piece.Length > 0) char.IsHighSurrogate(piece[^1]).ShouldBeFalse(label);
                    streamed.Append(piece);
                }
                streamed.Append(decoder.Flush()).ToString().ShouldBe(text, label);
            }
        }
    }

    [ConformanceFact("minilm", "models/all-MiniLM-L6-v2.Q8_0.gguf")]
    public void MiniLM_sentences_get_their_ids_with_cls_and_sep()
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(SharedData.Conformance("minilm")!, "expected.json")));
        using var file = (GgufFile)ModelFile.Open(SharedData.Model("all-MiniLM-L6-v2.Q8_0.gguf")!);
        var tokenizer = Tokenizer.FromGguf(file);
        string[] sentences = [.. json.RootElement.GetProperty("sentences").EnumerateArray().Select(s => s.GetString()!)];
        for (int i = 0; i < sentences.Length; i++)
            tokenizer.Encode(sentences[i]).ShouldBe([.. json.RootElement.GetProperty("ids")[i].EnumerateArray().Select(v => v.GetInt32())], sentences[i]);
    }

    [Fact]
    public void Streaming_equals_decoding_on_random_ids()
    {
        using var file = (GgufFile)ModelFile.Open(FablePath);
        var tokenizer = Tokenizer.FromGguf(file);
        for (int seed = 0; seed < 500; seed++)
        {
            var random = new Random(seed);
            int[] ids = [.. Enumerable.Range(0, random.Next(40)).Select(_ => random.Next(seed % 2 == 0 ? 300 : tokenizer.Count))];
            var decoder = tokenizer.CreateDecoder(skipSpecial: seed % 3 == 0);
            string streamed = string.Concat(ids.Select(decoder.Push)) + decoder.Flush();
            streamed.ShouldBe(tokenizer.Decode(ids, skipSpecial: seed % 3 == 0), $"seed {seed}");
        }
        Should.Throw<ArgumentException>(() => tokenizer.Decode([tokenizer.Count])).Message.ShouldContain($"{tokenizer.Count}");
    }

    [Fact]
    public void Work_per_byte_does_not_grow_from_1_MB_to_10_MB_of_one_word()
    {
        using var file = (GgufFile)ModelFile.Open(FablePath);
        var tokenizer = Tokenizer.FromGguf(file);
        double Work(int length)
        {
            long before = tokenizer.Operations;
            var text = new StringBuilder(length);
            for (int i = 0; i < length; i++) text.Append((char)('a' + i * 7 % 11 * i % 26));
            tokenizer.Encode(text.ToString());
            return (double)(tokenizer.Operations - before) / length;
        }
        double small = Work(1 << 20), large = Work(10 << 20);
        small.ShouldBeGreaterThan(0.1);
        large.ShouldBeLessThan(1.1 * small);
    }

    [ConformanceFact("tokenizers")]
    public void SentencePiece_work_per_byte_does_not_grow_either()
    {
        string? path = Directory.GetFiles(SharedData.Conformance("tokenizers")!, "*.gguf", SearchOption.AllDirectories).FirstOrDefault(f =>
        {
            using var candidate = (GgufFile)ModelFile.Open(f);
            return candidate.Metadata.FindString("tokenizer.ggml.model") == "llama";
        });
        path.ShouldNotBeNull();
        using var file = (GgufFile)ModelFile.Open(path);
        var tokenizer = Tokenizer.FromGguf(file);
        double Work(int length)
        {
            long before = tokenizer.Operations;
            tokenizer.Encode(string.Create(length, 0, (text, _) => { for (int i = 0; i < text.Length; i++) text[i] = (char)('a' + i * 7 % 11 * i % 26); }));
            return (double)(tokenizer.Operations - before) / length;
        }
        double small = Work(1 << 20), large = Work(10 << 20);
        small.ShouldBeGreaterThan(0.1);
        large.ShouldBeLessThan(1.1 * small);
    }

    [Fact]
    public void A_million_spaces_or_line_ends_take_linear_time()
    {
        using var file = (GgufFile)ModelFile.Open(FablePath);
        var tokenizer = Tokenizer.FromGguf(file);
        foreach (char c in " \n1-")
        {
            // The least of several times: what else runs can only add to one.
            double Seconds(int length) => Enumerable.Range(0, 5).Min(_ =>
            {
                var clock = System.Diagnostics.Stopwatch.StartNew();
                tokenizer.Encode(new string(c, length) + "x");
                return clock.Elapsed.TotalSeconds;
            });
            Seconds(1000);
            // Quadratic work would take a thousand times as long; ten times is far from both.
            (Seconds(1_000_000) / Math.Max(Seconds(100_000), 1e-3)).ShouldBeLessThan(60);
        }
    }

    [Fact]
    public void Spaced_character_pairs_fall_back_to_bytes_and_cut_at_line_ends_only()
    {
        string[] tokens = ["<unk>", .. Enumerable.Range(0, 256).Select(b => $"<0x{b:X2}>"), "a", "b", "▁", "\n", "▁a", "▁ab", "\n\n", "b▁a"];
        string path = Path.Combine(Path.GetTempPath(), $"tare-{Guid.NewGuid():n}.gguf");
        try
        {
            GgufWriter.Write(path, [("tokenizer.ggml.model", GgufValueType.String, "gemma4"),
                ("tokenizer.ggml.tokens", GgufValueType.Array, new GgufArray(GgufValueType.String, tokens)),
                ("tokenizer.ggml.merges", GgufValueType.Array, new GgufArray(GgufValueType.String, new[] { "▁ a", "▁a b", "\n \n", "b ▁a" }))], []);
            using var file = (GgufFile)ModelFile.Open(path);
            var tokenizer = Tokenizer.FromGguf(file);
            int Id(string text) => Array.IndexOf(tokens, text);
            tokenizer.Encode("b ab a", addSpecial: false).ShouldBe([Id("b"), Id("▁ab"), Id("▁a")]);
            tokenizer.Encode("b a\n\nb", addSpecial: false).ShouldBe([Id("b▁a"), Id("\n\n"), Id("b")]);
            tokenizer.Encode("é", addSpecial: false).ShouldBe([1 + 0xC3, 1 + 0xA9]);
            tokenizer.Decode(tokenizer.Encode("ab é\n b")).ShouldBe("ab é\n b");
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Bos_is_added_as_the_file_says_and_unknown_rules_are_refused()
    {
        using var file = (GgufFile)ModelFile.Open(FablePath);
        var tokenizer = Tokenizer.FromGguf(file);
        tokenizer.Encode("Once upon a time").ShouldBe([0, 2719, 693, 259, 523]);
        tokenizer.Encode("Once upon a time", addSpecial: false).ShouldBe([2719, 693, 259, 523]);
        tokenizer.EndOfGeneration.ShouldContain(0);
        string path = Path.Combine(Path.GetTempPath(), $"tare-{Guid.NewGuid():n}.gguf");
        try
        {
            GgufWriter.Write(path, [("tokenizer.ggml.model", GgufValueType.String, "gpt2"), ("tokenizer.ggml.pre", GgufValueType.String, "wonder"),
                ("tokenizer.ggml.tokens", GgufValueType.Array, new GgufArray(GgufValueType.String, new[] { "a" })), ("tokenizer.ggml.merges", GgufValueType.Array, new GgufArray(GgufValueType.String, Array.Empty<string>()))], []);
            using var other = (GgufFile)ModelFile.Open(path);
            string message = Should.Throw<ModelFileException>(() => Tokenizer.FromGguf(other)).Message;
            message.ShouldContain("'wonder'");
            message.ShouldContain("gpt-2");
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData(@"\p{N}{1,3}", "𝟙𝟚𝟛𝟜", "𝟙𝟚𝟛|𝟜")]
    [InlineData(@"\p{L}+", "a🦙bc", "a|🦙|bc")]
    [InlineData(@"(?i:'s|'t)|\w+", "it'S don't boſ'ſ", "it|'S| |don|'t| |boſ|'ſ")]
    [InlineData(@"\s+(?!\S)|\s+", "a   b  ", "a|  | |b|  ")]
    [InlineData(@"[^\r\n\p{L}]?\p{L}+|[a-c]|\d++", " abc12x", " abc|12|x")]
    [InlineData(@"(?:ab)+|a", "ababa", "abab|a")]
    public void Patterns_work_on_code_points(string pattern, string text, string expected)
    {
        int[] points = CodePoints.Of(text);
        var pieces = new List<(int Start, int End)>();
        new CodePointPattern(pattern).Split(points, 0, points.Length, pieces);
        string.Join('|', pieces.Select(p => string.Concat(points[p.Start..p.End].Select(char.ConvertFromUtf32)))).ShouldBe(expected);
    }

    [Theory]
    [InlineData("(a")]
    [InlineData("a)")]
    [InlineData("[a")]
    [InlineData("a{x}")]
    [InlineData(@"\p{Wonder}")]
    [InlineData(@"a*?")]
    [InlineData("*a")]
    [InlineData(@"(?<=a)b")]
    public void Patterns_beyond_the_dialect_are_refused(string pattern) => Should.Throw<FormatException>(() => new CodePointPattern(pattern)).Message.ShouldContain(pattern);
}
