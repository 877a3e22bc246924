using System.Collections.Frozen;
using System.Text;
using Tare.Formats.Gguf;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tokenizers;

/// <summary>Text to token ids and back: byte-level BPE as GGUF files describe it. Encoding and decoding are thread-safe.</summary>
public sealed class Tokenizer
{
    private const int Control = 3, UserDefined = 4;

    private static readonly FrozenSet<string> EndTexts = FrozenSet.ToFrozenSet(["<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>",
        "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<｜end▁of▁sentence｜>"], StringComparer.Ordinal);

    private static readonly FrozenSet<string> WholeWords = FrozenSet.ToFrozenSet(["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "tekken"], StringComparer.Ordinal);

    private readonly string[] _texts;                 // [Count]
    private readonly bool[] _special;                 // [Count] control tokens
    private readonly bool[] _literal;                 // [Count] tokens whose text stands for itself
    private readonly int[] _byteIds = new int[256];   // −1 where the vocabulary lacks the byte
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly Dictionary<(int, int), (int, int)> _merges;
    private readonly CodePointPattern[] _patterns;
    private readonly SpecialTokens _userDefined, _allSpecial;
    private readonly bool _wholeWords;
    private long _operations;

    private Tokenizer(GgufMetadata metadata)
    {
        _texts = metadata.FindStrings("tokenizer.ggml.tokens") ?? throw metadata.Error("tokenizer.ggml.tokens", "is missing");
        long[] types = metadata.FindIntegers("tokenizer.ggml.token_type") ?? new long[_texts.Length];
        if (types.Length != _texts.Length) throw metadata.Error("tokenizer.ggml.token_type", $"{types.Length} types for {_texts.Length} tokens");
        for (int id = 0; id < _texts.Length; id++) _ids.TryAdd(_texts[id], id);
        _special = [.. types.Select(t => t == Control)];
        _literal = [.. types.Select(t => t is Control or UserDefined)];
        for (int b = 0; b < 256; b++) _byteIds[b] = _ids.GetValueOrDefault(ByteAlphabet.Characters[b].ToString(), -1);
        _merges = ReadMerges(metadata);

        string rule = metadata.FindString("tokenizer.ggml.pre") ?? "gpt-2";
        string[] expressions = PreTokenizerRules.Find(rule) ?? throw metadata.Error("tokenizer.ggml.pre", $"'{rule}' is not known (known: {string.Join(", ", PreTokenizerRules.Names)})");
        _patterns = [.. expressions.Select(e => new CodePointPattern(e))];
        _wholeWords = WholeWords.Contains(rule);
        _userDefined = new SpecialTokens(_texts.Select((t, i) => (t, i)).Where(t => types[t.i] == UserDefined));
        _allSpecial = new SpecialTokens(_texts.Select((t, i) => (t, i)).Where(t => types[t.i] is UserDefined or Control));

        BeginningOfSequence = Id("bos_token_id");
        EndOfSequence = Id("eos_token_id");
        AddsBeginningOfSequence = (metadata.FindBool("tokenizer.ggml.add_bos_token") ?? _wholeWords) && BeginningOfSequence is not null;
        AddsEndOfSequence = (metadata.FindBool("tokenizer.ggml.add_eos_token") ?? false) && EndOfSequence is not null;
        var ends = new HashSet<int>(new[] { EndOfSequence, Id("eot_token_id"), Id("eom_token_id") }.OfType<int>());
        for (int id = 0; id < _texts.Length; id++)
            if (types[id] is Control or UserDefined && EndTexts.Contains(_texts[id])) ends.Add(id);
        EndOfGeneration = ends;

        int? Id(string key)
        {
            if (metadata.FindInteger($"tokenizer.ggml.{key}") is not long id) return null;
            return id >= 0 && id < _texts.Length ? (int)id : throw metadata.Error($"tokenizer.ggml.{key}", $"{id} is outside of {_texts.Length} tokens");
        }
    }

    /// <summary>Size of the vocabulary.</summary>
    public int Count => _texts.Length;

    /// <summary>BOS, or null.</summary>
    public int? BeginningOfSequence { get; }

    /// <summary>EOS, or null.</summary>
    public int? EndOfSequence { get; }

    /// <summary>All ids that end a generation.</summary>
    public IReadOnlySet<int> EndOfGeneration { get; }

    /// <summary>Whether a text begins with BOS.</summary>
    public bool AddsBeginningOfSequence { get; }

    /// <summary>Whether a text ends with EOS.</summary>
    public bool AddsEndOfSequence { get; }

    /// <summary>Queue operations of all encodings so far.</summary>
    internal long Operations => Interlocked.Read(ref _operations);

    /// <summary>The tokenizer of a GGUF file. Kinds other than byte-level BPE are refused by name.</summary>
    public static Tokenizer FromGguf(GgufFile file)
    {
        string model = file.Metadata.FindString("tokenizer.ggml.model") ?? throw file.Metadata.Error("tokenizer.ggml.model", "is missing");
        return model == "gpt2" ? new Tokenizer(file.Metadata) : throw file.Metadata.Error("tokenizer.ggml.model", $"'{model}' is not known (known: gpt2)");
    }

    /// <summary>Ids of a text. <paramref name="addSpecial"/> adds BOS and EOS as the file says; <paramref name="parseSpecial"/> reads control tokens in the text as such.</summary>
    public int[] Encode(string text, bool addSpecial = true, bool parseSpecial = true)
    {
        var ids = new List<int>();
        if (addSpecial && AddsBeginningOfSequence) ids.Add(BeginningOfSequence!.Value);
        var merger = new BytePair(_merges);
        (parseSpecial ? _allSpecial : _userDefined).Partition(text, (start, end) => EncodePlain(text[start..end], merger, ids), ids.Add);
        if (addSpecial && AddsEndOfSequence) ids.Add(EndOfSequence!.Value);
        Interlocked.Add(ref _operations, merger.Operations);
        return [.. ids];
    }

    /// <summary>The text of ids; incomplete UTF-8 becomes U+FFFD. Throws for ids outside of the vocabulary.</summary>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false)
    {
        var bytes = new List<byte>();
        foreach (int id in ids)
            if (!(IsSpecial(id) && skipSpecial)) bytes.AddRange(Bytes(id));
        return Encoding.UTF8.GetString([.. bytes]);
    }

    /// <summary>A decoder for ids that arrive one by one.</summary>
    public IncrementalDecoder CreateDecoder(bool skipSpecial = false) => new(this, skipSpecial);

    /// <summary>Whether an id is a control token.</summary>
    public bool IsSpecial(int id) => _special[Checked(id)];

    /// <summary>The token as the vocabulary writes it.</summary>
    public string TokenText(int id) => _texts[Checked(id)];

    /// <summary>The bytes that a token stands for.</summary>
    public byte[] Bytes(int id) => _literal[Checked(id)] ? Encoding.UTF8.GetBytes(_texts[id]) : ByteAlphabet.Decode(_texts[id]);

    private int Checked(int id) => (uint)id < (uint)_texts.Length ? id : throw new ArgumentException($"token id {id} is outside of {_texts.Length} tokens");

    private void EncodePlain(string text, BytePair merger, List<int> ids)
    {
        ReadOnlyMemory<int> points = CodePoints.Of(text);
        List<(int Start, int End)> pieces = [(0, points.Length)], finer = [];
        foreach (var pattern in _patterns)
        {
            finer.Clear();
            foreach (var (start, end) in pieces) pattern.Split(points, start, end, finer);
            (pieces, finer) = (finer, pieces);
        }
        var symbols = new List<int>();
        var written = new StringBuilder();
        Span<byte> utf8 = stackalloc byte[4];
        foreach (var (start, end) in pieces)
        {
            symbols.Clear();
            written.Clear();
            for (int i = start; i < end; i++)
                foreach (byte b in utf8[..new Rune(points.Span[i]).EncodeToUtf8(utf8)])
                {
                    if (_byteIds[b] >= 0) symbols.Add(_byteIds[b]);
                    if (_wholeWords) written.Append(ByteAlphabet.Characters[b]);
                }
            if (_wholeWords && _ids.TryGetValue(written.ToString(), out int whole)) ids.Add(whole);
            else merger.Merge([.. symbols], ids);
        }
    }

    private Dictionary<(int, int), (int, int)> ReadMerges(GgufMetadata metadata)
    {
        string[] lines = metadata.FindStrings("tokenizer.ggml.merges") ?? throw metadata.Error("tokenizer.ggml.merges", "is missing");
        var merges = new Dictionary<(int, int), (int, int)>(lines.Length);
        for (int rank = 0; rank < lines.Length; rank++)
        {
            int space = lines[rank].Length > 1 ? lines[rank].IndexOf(' ', 1) : -1;
            if (space < 0) throw metadata.Error("tokenizer.ggml.merges", $"entry {rank} ('{lines[rank]}') is not a pair");
            string left = lines[rank][..space], right = lines[rank][(space + 1)..];
            if (_ids.TryGetValue(left, out int l) && _ids.TryGetValue(right, out int r) && _ids.TryGetValue(left + right, out int merged)) merges.TryAdd((l, r), (rank, merged));
            else throw metadata.Error("tokenizer.ggml.merges", $"entry {rank} ('{lines[rank]}') names a token that the vocabulary lacks");
        }
        return merges;
    }
}
