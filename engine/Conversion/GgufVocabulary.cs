using System.Text.Json;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Tokenizers;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Conversion;

/// <summary>
/// A tokenizer.json as the keys of <c>tokenizer.ggml</c>: byte-level BPE, SentencePiece-like BPE with byte fallback, WordPiece. GGUF names the rule that cuts texts instead of holding it, so the rule is found by trying:
/// the one under which hard texts get the ids of the original. None means an error, never other ids.
/// </summary>
internal static class GgufVocabulary
{
    // Likely names first; the others follow.
    private static readonly string[] Preferred = ["gpt-2", "llama-bpe", "qwen2", "smollm", "gpt-4o", "tekken", "deepseek-llm", "deepseek-coder", "deepseek-v3", "falcon", "qwen35"];

    private static readonly string[] Probes =
    [
        "Hello world! I'm sure they've said: don't, WE'LL, You'D; it's fine.", "x=1234567 + 0.5e10; y[3]+=42//7 --> (a && b) || !c\n", "  two  spaces,   three\t\ttabs \n\n  \r\n indented\n    more\n",
        "naïve café Ünïcode ÀÉÎ ß ñandú", "日本語のテキスト、中文字符。한국어 문장", "नमस्ते दुनिया สวัสดีชาวโลก مرحبا", "🙂🚀 emoji 👩‍👩‍👧 ½ ² Ⅻ …—–“quoted”", "camelCaseWORD snake_case HTTPServer2Go a/b\\c/\n/path", "3 33 333 3333 33333 １２３", " leading", "trailing \n", "\n\n\n", "     ", "http://example.com/?q=a%20b&c=#frag", "$5.00 <tag> `code` ~~x~~ ^_^",
    ];

    private static readonly string[] Pieces = ["the", " The", " ", "  ", "   ", "\n", "\t", "'s", "'LL", "1", "234", "56", ",", ".", "!?", "é", "ß", "日本", "ते", "🙂", "_", "/", "HTTP", "x", "…", "(", ")", "=", "->", "A"];

    /// <summary>The keys; <paramref name="rows"/> is the height of the embedding, which may exceed the tokens of the file.</summary>
    public static List<(string Key, GgufValueType Type, object Value)> Write(CheckpointFolder folder, string architecture, int rows)
    {
        string path = folder.TokenizerPath!;
        var tokenizer = Tokenizer.Of(folder);
        using var document = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { MaxDepth = 64 });
        var model = document.RootElement.GetProperty("model");
        string type = model.TryGetProperty("type", out var named) ? named.GetString() ?? "BPE" : "BPE";
        bool isPlain = type == "BPE" && model.TryGetProperty("byte_fallback", out var fallback) && fallback.ValueKind == JsonValueKind.True;
        string kind = type == "WordPiece" ? "bert" : isPlain ? "llama" : "gpt2";
        var keys = new Dictionary<string, (GgufValueType, object)>(StringComparer.Ordinal) { ["model"] = (GgufValueType.String, kind) };
        AddTokens(keys, document.RootElement, tokenizer, kind, Math.Max(tokenizer.Count, rows));
        if (kind == "gpt2") keys["merges"] = (GgufValueType.Array, new GgufArray(GgufValueType.String, Merges(path, model)));
        if (kind == "llama") keys["scores"] = (GgufValueType.Array, new GgufArray(GgufValueType.Float32, Scores(path, model, tokenizer, Math.Max(tokenizer.Count, rows))));
        AddSpecial(keys, folder, model, tokenizer, kind);
        Settle(keys, path, architecture, kind, tokenizer);
        if (Template(folder) is { } template) keys["chat_template"] = (GgufValueType.String, template);
        return [.. keys.Select(k => (k.Key == "chat_template" ? "tokenizer.chat_template" : $"tokenizer.ggml.{k.Key}", k.Value.Item1, k.Value.Item2))];
    }

    private static void AddTokens(Dictionary<string, (GgufValueType, object)> keys, JsonElement root, Tokenizer tokenizer, string kind, int count)
    {
        var added = new Dictionary<int, (string Text, bool Special)>();
        if (root.TryGetProperty("added_tokens", out var list))
            foreach (var token in list.EnumerateArray()) added[token.GetProperty("id").GetInt32()] = (token.GetProperty("content").GetString()!, token.TryGetProperty("special", out var special) && special.ValueKind == JsonValueKind.True);
        string? unknown = root.GetProperty("model").TryGetProperty("unk_token", out var unk) && unk.ValueKind == JsonValueKind.String ? unk.GetString() : null;
        var present = root.GetProperty("model").GetProperty("vocab").EnumerateObject().Select(e => e.Value.GetInt32()).Concat(added.Keys).ToHashSet();
        var texts = new string[count];
        var kinds = new int[count];
        for (int id = 0; id < count; id++)
        {
            string text = present.Contains(id) ? added.TryGetValue(id, out var own) ? own.Text : tokenizer.TokenText(id) : $"[PAD{id}]";
            var what = !present.Contains(id) ? TokenKind.Unused
                : kind == "llama" && text == unknown ? TokenKind.Unknown
                : added.TryGetValue(id, out own) ? own.Special ? TokenKind.Control : TokenKind.UserDefined
                : kind == "llama" && text.Length == 6 && text.StartsWith("<0x", StringComparison.Ordinal) ? TokenKind.Byte : TokenKind.Normal;
            if (kind == "bert" && what == TokenKind.Normal) text = text.StartsWith("##", StringComparison.Ordinal) ? text[2..] : $"▁{text}";
            (texts[id], kinds[id]) = (text, (int)what);
        }
        keys["tokens"] = (GgufValueType.Array, new GgufArray(GgufValueType.String, texts));
        keys["token_type"] = (GgufValueType.Array, new GgufArray(GgufValueType.Int32, kinds));
    }

    private static (string Left, string Right) Pair(string path, JsonElement entry)
    {
        if (entry.ValueKind == JsonValueKind.Array) return (entry[0].GetString()!, entry[1].GetString()!);
        string line = entry.GetString()!;
        int space = line.IndexOf(' ', 1);
        return space > 0 ? (line[..space], line[(space + 1)..]) : throw new ModelFileException(path, $"merges: '{line}' is not a pair");
    }

    private static string[] Merges(string path, JsonElement model) => [.. model.GetProperty("merges").EnumerateArray().Select(entry =>
    {
        var (left, right) = Pair(path, entry);
        return left.Contains(' ') || right.Contains(' ') ? throw new ModelFileException(path, $"merges: '{left}' + '{right}' hold a space, which GGUF can't write") : $"{left} {right}";
    })];

    // SentencePiece merges the pair whose token has the highest score: minus the rank of the first merge that makes it. What no merge makes comes last.
    private static float[] Scores(string path, JsonElement model, Tokenizer tokenizer, int count)
    {
        var ranks = new Dictionary<string, int>(StringComparer.Ordinal);
        int rank = 0;
        foreach (var entry in model.GetProperty("merges").EnumerateArray())
        {
            var (left, right) = Pair(path, entry);
            ranks.TryAdd(left + right, rank++);
        }
        return [.. Enumerable.Range(0, count).Select(id => id < tokenizer.Count && ranks.TryGetValue(tokenizer.TokenText(id), out int r) ? -r : -1e9f)];
    }

    private static void AddSpecial(Dictionary<string, (GgufValueType, object)> keys, CheckpointFolder folder, JsonElement model, Tokenizer tokenizer, string kind)
    {
        void Id(string key, int? id)
        {
            if (id is int number) keys[key] = (GgufValueType.UInt32, (uint)number);
        }
        int? Named(string? text) => text is null ? null : Enumerable.Range(0, tokenizer.Count).Where(id => tokenizer.TokenText(id) == text).Cast<int?>().FirstOrDefault();
        int[] around = tokenizer.Encode(""); // what is put around a text counts more than what a configuration names
        int? first = tokenizer.AddsBeginningOfSequence ? around[0] : tokenizer.BeginningOfSequence, last = tokenizer.AddsEndOfSequence ? around[^1] : tokenizer.EndOfSequence;
        Id("bos_token_id", first);
        Id("eos_token_id", last);
        if (kind == "bert")
        {
            Id("cls_token_id", first);
            Id("seperator_token_id", last); // spelled so in the format
            Id("mask_token_id", Named(TextOf(folder.TokenizerConfig, "mask_token")));
        }
        Id("unknown_token_id", Named(TextOf(model, "unk_token") ?? TextOf(folder.TokenizerConfig, "unk_token")));
        Id("padding_token_id", Named(TextOf(folder.TokenizerConfig, "pad_token")));
        if (tokenizer.EndOfGeneration.FirstOrDefault(id => id != last, -1) is >= 0 and var turn) Id("eot_token_id", turn);
        keys["add_bos_token"] = (GgufValueType.Bool, tokenizer.AddsBeginningOfSequence);
        keys["add_eos_token"] = (GgufValueType.Bool, tokenizer.AddsEndOfSequence);
    }

    // Finds the rule, or the space before a text, under which the ids are those of the original.
    private static void Settle(Dictionary<string, (GgufValueType, object)> keys, string path, string architecture, string kind, Tokenizer tokenizer)
    {
        var random = new Random(1);
        string[] probes = [.. Probes, .. Enumerable.Range(0, 100).Select(_ => string.Concat(Enumerable.Range(0, random.Next(2, 12)).Select(_ => Pieces[random.Next(Pieces.Length)])))];
        int[][] wanted = [.. probes.Select(p => tokenizer.Encode(p))];
        IEnumerable<(string Key, GgufValueType, object)[]> choices = kind switch
        {
            "gpt2" => PreTokenizerRules.Names.Where(n => n.Replace("-", "", StringComparison.Ordinal) == architecture || n == architecture).Concat(Preferred).Concat(PreTokenizerRules.Names).Distinct()
                .Select(n => new[] { ("pre", GgufValueType.String, (object)n) }),
            "llama" => [[("pre", GgufValueType.String, "default"), ("add_space_prefix", GgufValueType.Bool, true)], [("pre", GgufValueType.String, "default"), ("add_space_prefix", GgufValueType.Bool, false)]],
            _ => [[("pre", GgufValueType.String, "default")]],
        };
        string? difference = null;
        foreach (var choice in choices)
        {
            foreach (var (key, type, value) in choice) keys[key] = (type, value);
            var read = Read(path, keys);
            int other = Enumerable.Range(0, probes.Length).FirstOrDefault(i => !read.Encode(probes[i]).AsSpan().SequenceEqual(wanted[i]), -1);
            if (other < 0) return;
            difference ??= probes[other];
        }
        throw new ModelFileException(path, $"GGUF has no way to cut texts as this file does (a text with other ids: '{difference!.Trim()}'); the vocabulary can be left out");
    }

    private static Tokenizer Read(string path, Dictionary<string, (GgufValueType Type, object Value)> keys)
    {
        var metadata = new GgufMetadata(path);
        foreach (var (key, value) in keys) metadata.Add($"tokenizer.ggml.{key}", value.Type, value.Value);
        return GgufTokenizer.Read(metadata);
    }

    // A file of its own, a string, or a list of named ones.
    private static string? Template(CheckpointFolder folder)
    {
        if (folder.ChatTemplatePath is { } path) return File.ReadAllText(path);
        if (folder.TokenizerConfig is not { } config || !config.TryGetProperty("chat_template", out var value)) return null;
        if (value.ValueKind == JsonValueKind.String) return value.GetString();
        if (value.ValueKind != JsonValueKind.Array) return null;
        return value.EnumerateArray().Where(t => TextOf(t, "name") == "default").Select(t => TextOf(t, "template")).FirstOrDefault();
    }

    // "<s>", or {"content": "<s>", …}.
    private static string? TextOf(JsonElement? config, string key)
    {
        if (config is not { ValueKind: JsonValueKind.Object } root || !root.TryGetProperty(key, out var value)) return null;
        if (value.ValueKind == JsonValueKind.Object && value.TryGetProperty("content", out var content)) value = content;
        return value.ValueKind == JsonValueKind.String ? value.GetString() : null;
    }
}
