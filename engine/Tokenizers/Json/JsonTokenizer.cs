using System.Text.Json;
using Tare.Formats;

namespace Tare.Tokenizers.Json;

/// <summary>
/// A tokenizer.json: added tokens that are not normalized are cut out of the raw text, the rest is normalized, the others are cut out of that, and what is left goes through pre-tokenizer and model. Components
/// that this version does not know are refused by name.
/// </summary>
internal sealed class JsonTokenizer : Tokenizer
{
    private const long MaximumBytes = 256L << 20;

    private readonly string?[] _texts;     // [Count]
    private readonly bool[] _special;      // [Count]
    private readonly AddedTokens _raw, _normalized;
    private readonly Func<string, string> _normalize;
    private readonly Func<Piece, IEnumerable<Piece>> _split;
    private readonly Func<List<string>, List<string>>? _decode;
    private readonly PieceEncoder _encode;
    private readonly IReadOnlyList<int> _before, _after;
    private readonly string _path;
    private long _operations;

    private JsonTokenizer(string path, JsonElement root, JsonElement? tokenizerConfig, JsonElement? generationConfig, JsonElement? config)
    {
        _path = path;
        var fields = new JsonFields(path, "", root);
        var model = fields.Get("model");
        var vocabulary = JsonModels.Vocabulary(model);
        AddedToken[] added = [.. fields.Find("added_tokens")?.Items().Select(ReadAdded) ?? []];
        _normalize = fields.Find("normalizer") is { } normalizer ? Normalizers.Read(normalizer) : text => text;
        _split = fields.Find("pre_tokenizer") is { } splitter ? PreTokenizing.Read(splitter) : piece => [piece];
        _encode = JsonModels.Read(model, vocabulary);
        _decode = fields.Find("decoder") is { } decoder ? Decoders.Read(decoder) : null;
        _raw = new AddedTokens(added.Where(t => !t.Normalized).Select(t => (t.Content, t)));
        _normalized = new AddedTokens(added.Where(t => t.Normalized).Select(t => (_normalize(t.Content), t)));

        int highest = vocabulary.Values.Concat(added.Select(t => t.Id)).DefaultIfEmpty(-1).Max();
        if (highest >= 2L * (vocabulary.Count + added.Length) + 65536) throw fields.Error($"ids reach {highest}, but there are only {vocabulary.Count + added.Length} tokens");
        int count = highest + 1;
        _texts = new string?[count];
        _special = new bool[count];
        foreach (var (text, id) in vocabulary) _texts[id] ??= text;
        foreach (var token in added)
        {
            _texts[token.Id] = token.Normalized ? _normalize(token.Content) : token.Content;
            _special[token.Id] = token.Special;
        }

        int? Named(string key) => Text(tokenizerConfig, key) is { } text ? added.LastOrDefault(t => t.Content == text)?.Id ?? (vocabulary.TryGetValue(text, out int id) ? id : null) : null;
        int[] named = [.. Ids(generationConfig, "eos_token_id").Concat(Ids(config, "eos_token_id")).Where(id => id >= 0 && id < count)];
        BeginningOfSequence = Named("bos_token") ?? Named("cls_token") ?? Ids(config, "bos_token_id").Where(id => id >= 0 && id < count).Cast<int?>().FirstOrDefault();
        EndOfSequence = Named("eos_token") ?? Named("sep_token") ?? named.Cast<int?>().FirstOrDefault();
        EndOfGeneration = Ends([EndOfSequence, .. named], [.. vocabulary.Select(v => (v.Key, v.Value)), .. added.Select(t => (t.Content, t.Id))]);

        var post = fields.Find("post_processor") is { } processor ? PostProcessing.Read(processor) : null;
        post ??= new PostProcessing(Flag(tokenizerConfig, "add_bos_token") && BeginningOfSequence is int b ? [b] : [], Flag(tokenizerConfig, "add_eos_token") && EndOfSequence is int e ? [e] : []);
        (_before, _after) = (post.Before, post.After);
        if (_before.Concat(_after).Any(id => id < 0 || id >= count)) throw fields.Error("post_processor: an id is outside of the vocabulary");
    }

    public override int Count => _texts.Length;

    public override int? BeginningOfSequence { get; }

    public override int? EndOfSequence { get; }

    public override IReadOnlySet<int> EndOfGeneration { get; }

    public override bool AddsBeginningOfSequence => _before.Count > 0;

    public override bool AddsEndOfSequence => _after.Count > 0;

    internal override long Operations => Interlocked.Read(ref _operations);

    /// <summary>Reads a file; a tokenizer_config.json beside it names BOS and EOS.</summary>
    public static JsonTokenizer Read(string path)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        return Read(path, Beside("tokenizer_config.json"), Beside("generation_config.json"), Beside("config.json"));

        JsonElement? Beside(string name) => File.Exists(Path.Combine(folder, name)) ? Parse(Path.Combine(folder, name)) : null;
    }

    public static JsonTokenizer Read(string path, JsonElement? tokenizerConfig, JsonElement? generationConfig, JsonElement? config) => new(path, Parse(path), tokenizerConfig, generationConfig, config);

    public override int[] Encode(string text, bool addSpecial = true, bool parseSpecial = true)
    {
        var ids = new List<int>();
        long operations = 0;
        if (addSpecial) ids.AddRange(_before);
        foreach (var (start, end, token) in _raw.Cut(text, parseSpecial))
        {
            if (token is not null)
            {
                ids.Add(token.Id);
                continue;
            }
            string normalized = _normalize(text[start..end]);
            foreach (var (from, to, inner) in _normalized.Cut(normalized, parseSpecial))
            {
                if (inner is not null)
                {
                    ids.Add(inner.Id);
                    continue;
                }
                foreach (var piece in _split(new Piece(normalized[from..to], start == 0 && from == 0)))
                    if (piece.Text.Length > 0) operations += _encode(piece.Text, ids);
            }
        }
        if (addSpecial) ids.AddRange(_after);
        Interlocked.Add(ref _operations, operations);
        return [.. ids];
    }

    public override string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false)
    {
        var tokens = new List<string>(ids.Length);
        foreach (int id in ids)
            if (!(IsSpecial(id) && skipSpecial)) tokens.Add(_texts[id] ?? "");
        return _decode is null ? string.Join(' ', tokens) : string.Concat(_decode(tokens));
    }

    public override IncrementalDecoder CreateDecoder(bool skipSpecial = false) => new WindowDecoder(this, skipSpecial);

    public override bool IsSpecial(int id) => _special[Checked(id)];

    public override string TokenText(int id) => _texts[Checked(id)] ?? "";

    private static JsonElement Parse(string path)
    {
        try
        {
            if (new FileInfo(path).Length > MaximumBytes) throw new ModelFileException(path, $"is larger than {MaximumBytes} bytes");
            using var document = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { MaxDepth = 64 });
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : throw new ModelFileException(path, "is not a JSON object");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new ModelFileException(path, $"can't be read ({e.Message})", e);
        }
    }

    private static AddedToken ReadAdded(JsonFields field)
    {
        int id = field.Integer("id");
        return id < 0 ? throw field.Error($"id {id} is negative")
            : new AddedToken(id, field.String("content"), field.Bool("single_word", false), field.Bool("lstrip", false), field.Bool("rstrip", false), field.Bool("normalized", !field.Bool("special", false)), field.Bool("special", false));
    }

    // "<s>", or {"content": "<s>", …}.
    private static string? Text(JsonElement? config, string key)
    {
        if (config is not { } root || !root.TryGetProperty(key, out var value)) return null;
        if (value.ValueKind == JsonValueKind.Object && value.TryGetProperty("content", out var content)) value = content;
        return value.ValueKind == JsonValueKind.String ? value.GetString() : null;
    }

    private static bool Flag(JsonElement? config, string key) => config is { } root && root.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.True;

    // A number or a list of numbers.
    private static IEnumerable<int> Ids(JsonElement? config, string key)
    {
        if (config is not { } root || !root.TryGetProperty(key, out var value)) return [];
        return (value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToArray() : [value]).Where(v => v.ValueKind == JsonValueKind.Number && v.TryGetInt32(out _)).Select(v => v.GetInt32());
    }

    private int Checked(int id) => (uint)id < (uint)Count ? id : throw new ArgumentException($"token id {id} is outside of {Count} tokens");
}
