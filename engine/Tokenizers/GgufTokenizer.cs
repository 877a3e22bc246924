using System.Text;
using Tare.Formats.Gguf;

namespace Tare.Tokenizers;

/// <summary>The tokenizer of a GGUF file: special tokens are cut out, the rest goes to a token model; decoding joins bytes.</summary>
internal sealed class GgufTokenizer : Tokenizer
{
    private readonly Vocabulary _vocabulary;
    private readonly ITokenModel _model;
    private readonly SpecialTokens _userDefined, _allSpecial;
    private long _operations;

    private GgufTokenizer(GgufMetadata metadata, Vocabulary vocabulary, ITokenModel model, bool addsBeginning, int? beginning = null, int? end = null)
    {
        (_vocabulary, _model) = (vocabulary, model);
        var tokens = vocabulary.Texts.Select((t, i) => (t, i));
        var (left, right) = Stripping(metadata, vocabulary);
        _userDefined = new SpecialTokens(tokens.Where(t => vocabulary.Kinds[t.i] == TokenKind.UserDefined), left, right);
        _allSpecial = new SpecialTokens(tokens.Where(t => IsLiteral(t.i)), left, right);
        BeginningOfSequence = (beginning is null ? null : Id("cls_token_id")) ?? Id("bos_token_id") ?? (beginning < Count ? beginning : null);
        EndOfSequence = (end is null ? null : Id("seperator_token_id")) ?? Id("eos_token_id") ?? (end < Count ? end : null); // spelled so in the format
        AddsBeginningOfSequence = (metadata.FindBool("tokenizer.ggml.add_bos_token") ?? addsBeginning) && BeginningOfSequence is not null;
        AddsEndOfSequence = (metadata.FindBool("tokenizer.ggml.add_eos_token") ?? end is not null) && EndOfSequence is not null;
        EndOfGeneration = Ends([EndOfSequence, Id("eot_token_id"), Id("eom_token_id")], tokens);

        int? Id(string key)
        {
            if (metadata.FindInteger($"tokenizer.ggml.{key}") is not long id) return null;
            return id >= 0 && id < Count ? (int)id : throw metadata.Error($"tokenizer.ggml.{key}", $"{id} is outside of {Count} tokens");
        }
    }

    public override int Count => _vocabulary.Count;

    public override int? BeginningOfSequence { get; }

    public override int? EndOfSequence { get; }

    public override IReadOnlySet<int> EndOfGeneration { get; }

    public override bool AddsBeginningOfSequence { get; }

    public override bool AddsEndOfSequence { get; }

    internal override long Operations => Interlocked.Read(ref _operations);

    /// <summary>Whether decoding takes a leading space away because encoding adds one.</summary>
    internal bool HasSpacePrefix => _model.HasSpacePrefix;

    /// <summary>The tokenizer of a GGUF file: byte-level BPE (<c>gpt2</c>), SentencePiece BPE (<c>llama</c>) or WordPiece (<c>bert</c>). Other kinds are refused by name.</summary>
    public static GgufTokenizer Read(GgufFile file) => Read(file.Metadata);

    /// <summary>The tokenizer that these keys describe.</summary>
    public static GgufTokenizer Read(GgufMetadata metadata)
    {
        string kind = metadata.FindString("tokenizer.ggml.model") ?? throw metadata.Error("tokenizer.ggml.model", "is missing");
        if (kind is not ("gpt2" or "llama" or "bert" or "gemma4")) throw metadata.Error("tokenizer.ggml.model", $"'{kind}' is not known (known: gpt2, llama, bert, gemma4)");
        var vocabulary = new Vocabulary(metadata);
        if (kind == "llama") return new GgufTokenizer(metadata, vocabulary, new SentencePieceModel(metadata, vocabulary), addsBeginning: true);
        if (kind == "bert") return new GgufTokenizer(metadata, vocabulary, new WordPieceModel(metadata, vocabulary), addsBeginning: true, beginning: 101, end: 102);
        if (kind == "gemma4") return new GgufTokenizer(metadata, vocabulary, new SpacedBytePairModel(metadata, vocabulary), addsBeginning: true);
        var model = new ByteLevelModel(metadata, vocabulary);
        return new GgufTokenizer(metadata, vocabulary, model, model.AddsBeginningByDefault);
    }

    public override int[] Encode(string text, bool addSpecial = true, bool parseSpecial = true)
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

    public override string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false)
    {
        var bytes = new List<byte>();
        foreach (int id in ids)
            if (!(IsSpecial(id) && skipSpecial)) bytes.AddRange(Bytes(id));
        string text = Encoding.UTF8.GetString([.. bytes]);
        return HasSpacePrefix && text.StartsWith(' ') ? text[1..] : text;
    }

    public override IncrementalDecoder CreateDecoder(bool skipSpecial = false) => new ByteDecoder(this, skipSpecial);

    public override bool IsSpecial(int id) => _vocabulary.Kinds[Checked(id)] == TokenKind.Control;

    public override string TokenText(int id) => _vocabulary.Texts[Checked(id)];

    /// <summary>The bytes that a token stands for; control and user-defined tokens stand for their text.</summary>
    public byte[] Bytes(int id) => IsLiteral(Checked(id)) ? Encoding.UTF8.GetBytes(_vocabulary.Texts[id]) : _model.Bytes(id);

    // Tokens that take white space with them; the format has no key for it, so it follows from names: Phi-3's markers end with their line, <mask> of Jina's models begins with its space.
    private static (HashSet<int> Left, HashSet<int> Right) Stripping(GgufMetadata metadata, Vocabulary vocabulary)
    {
        HashSet<int> left = [], right = [];
        string name = metadata.FindString("general.name") ?? "";
        if (metadata.FindString("tokenizer.ggml.pre") is "jina-v2-de" or "jina-v2-es" or "jina-v2-code" && vocabulary.Ids.TryGetValue("<mask>", out int mask)) left.Add(mask);
        else if (name.Contains("phi-3", StringComparison.OrdinalIgnoreCase) || name.Contains("phi3", StringComparison.OrdinalIgnoreCase))
            for (int id = 0; id < vocabulary.Count; id++)
                if (vocabulary.Texts[id] is "</s>" || vocabulary.Kinds[id] is TokenKind.Control or TokenKind.UserDefined && vocabulary.Texts[id] is not ("<unk>" or "<s>" or "<|endoftext|>")) right.Add(id);
        return (left, right);
    }

    private bool IsLiteral(int id) => _vocabulary.Kinds[id] is TokenKind.Control or TokenKind.UserDefined;

    private int Checked(int id) => (uint)id < (uint)Count ? id : throw new ArgumentException($"token id {id} is outside of {Count} tokens");
}
