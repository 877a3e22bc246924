using System.Collections.Frozen;
using System.Text;
using Tare.Formats.Gguf;

namespace Tare.Tokenizers;

/// <summary>Text to token ids and back, as GGUF files describe it. Encoding and decoding are thread-safe.</summary>
public sealed class Tokenizer
{
    private static readonly FrozenSet<string> EndTexts = FrozenSet.ToFrozenSet(["<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>",
        "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<｜end▁of▁sentence｜>"], StringComparer.Ordinal);

    private readonly Vocabulary _vocabulary;
    private readonly ITokenModel _model;
    private readonly SpecialTokens _userDefined, _allSpecial;
    private long _operations;

    private Tokenizer(GgufMetadata metadata, Vocabulary vocabulary, ITokenModel model, bool addsBeginning, int? beginning = null, int? end = null)
    {
        (_vocabulary, _model) = (vocabulary, model);
        var tokens = vocabulary.Texts.Select((t, i) => (t, i));
        _userDefined = new SpecialTokens(tokens.Where(t => vocabulary.Kinds[t.i] == TokenKind.UserDefined));
        _allSpecial = new SpecialTokens(tokens.Where(t => IsLiteral(t.i)));
        BeginningOfSequence = (beginning is null ? null : Id("cls_token_id")) ?? Id("bos_token_id") ?? (beginning < Count ? beginning : null);
        EndOfSequence = (end is null ? null : Id("seperator_token_id")) ?? Id("eos_token_id") ?? (end < Count ? end : null); // spelled so in the format
        AddsBeginningOfSequence = (metadata.FindBool("tokenizer.ggml.add_bos_token") ?? addsBeginning) && BeginningOfSequence is not null;
        AddsEndOfSequence = (metadata.FindBool("tokenizer.ggml.add_eos_token") ?? end is not null) && EndOfSequence is not null;
        var ends = new HashSet<int>(new[] { EndOfSequence, Id("eot_token_id"), Id("eom_token_id") }.OfType<int>());
        for (int id = 0; id < Count; id++)
            if (IsLiteral(id) && EndTexts.Contains(vocabulary.Texts[id])) ends.Add(id);
        EndOfGeneration = ends;

        int? Id(string key)
        {
            if (metadata.FindInteger($"tokenizer.ggml.{key}") is not long id) return null;
            return id >= 0 && id < Count ? (int)id : throw metadata.Error($"tokenizer.ggml.{key}", $"{id} is outside of {Count} tokens");
        }
    }

    /// <summary>Size of the vocabulary.</summary>
    public int Count => _vocabulary.Count;

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

    /// <summary>Whether decoding takes a leading space away because encoding adds one.</summary>
    internal bool HasSpacePrefix => _model.HasSpacePrefix;

    /// <summary>The tokenizer of a GGUF file: byte-level BPE (<c>gpt2</c>), SentencePiece BPE (<c>llama</c>) or WordPiece (<c>bert</c>). Other kinds are refused by name.</summary>
    public static Tokenizer FromGguf(GgufFile file)
    {
        var metadata = file.Metadata;
        string kind = metadata.FindString("tokenizer.ggml.model") ?? throw metadata.Error("tokenizer.ggml.model", "is missing");
        if (kind is not ("gpt2" or "llama" or "bert")) throw metadata.Error("tokenizer.ggml.model", $"'{kind}' is not known (known: gpt2, llama, bert)");
        var vocabulary = new Vocabulary(metadata);
        if (kind == "llama") return new Tokenizer(metadata, vocabulary, new SentencePieceModel(metadata, vocabulary), addsBeginning: true);
        if (kind == "bert") return new Tokenizer(metadata, vocabulary, new WordPieceModel(metadata, vocabulary), addsBeginning: true, beginning: 101, end: 102);
        var model = new ByteLevelModel(metadata, vocabulary);
        return new Tokenizer(metadata, vocabulary, model, model.AddsBeginningByDefault);
    }

    /// <summary>Ids of a text. <paramref name="addSpecial"/> adds BOS and EOS as the file says; <paramref name="parseSpecial"/> reads control tokens in the text as such.</summary>
    public int[] Encode(string text, bool addSpecial = true, bool parseSpecial = true)
    {
        var ids = new List<int>();
        if (addSpecial && AddsBeginningOfSequence) ids.Add(BeginningOfSequence!.Value);
        long operations = 0;
        bool afterSpecial = true;
        (parseSpecial ? _allSpecial : _userDefined).Partition(text, (start, end) =>
        {
            operations += _model.Encode(text[start..end], afterSpecial, ids);
            afterSpecial = false;
        }, id =>
        {
            ids.Add(id);
            afterSpecial = true;
        });
        if (addSpecial && AddsEndOfSequence) ids.Add(EndOfSequence!.Value);
        Interlocked.Add(ref _operations, operations);
        return [.. ids];
    }

    /// <summary>The text of ids; incomplete UTF-8 becomes U+FFFD. Throws for ids outside of the vocabulary.</summary>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false)
    {
        var bytes = new List<byte>();
        foreach (int id in ids)
            if (!(IsSpecial(id) && skipSpecial)) bytes.AddRange(Bytes(id));
        string text = Encoding.UTF8.GetString([.. bytes]);
        return HasSpacePrefix && text.StartsWith(' ') ? text[1..] : text;
    }

    /// <summary>A decoder for ids that arrive one by one.</summary>
    public IncrementalDecoder CreateDecoder(bool skipSpecial = false) => new(this, skipSpecial);

    /// <summary>Whether an id is a control token.</summary>
    public bool IsSpecial(int id) => _vocabulary.Kinds[Checked(id)] == TokenKind.Control;

    /// <summary>The token as the vocabulary writes it.</summary>
    public string TokenText(int id) => _vocabulary.Texts[Checked(id)];

    /// <summary>The bytes that a token stands for; control and user-defined tokens stand for their text.</summary>
    public byte[] Bytes(int id) => IsLiteral(Checked(id)) ? Encoding.UTF8.GetBytes(_vocabulary.Texts[id]) : _model.Bytes(id);

    private bool IsLiteral(int id) => _vocabulary.Kinds[id] is TokenKind.Control or TokenKind.UserDefined;

    private int Checked(int id) => (uint)id < (uint)Count ? id : throw new ArgumentException($"token id {id} is outside of {Count} tokens");
}
