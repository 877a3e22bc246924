using Tare.Formats.Gguf;

namespace Tare.Tokenizers;

/// <summary>What a token is, with the numbers of <c>tokenizer.ggml.token_type</c>.</summary>
internal enum TokenKind
{
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// <summary>The tokens of a GGUF file: texts, kinds, and ids by text (the first where a text occurs twice).</summary>
internal sealed class Vocabulary
{
    public Vocabulary(GgufMetadata metadata)
    {
        Texts = metadata.FindStrings("tokenizer.ggml.tokens") ?? throw metadata.Error("tokenizer.ggml.tokens", "is missing");
        long[]? kinds = metadata.FindIntegers("tokenizer.ggml.token_type");
        if (kinds is not null && kinds.Length != Texts.Length) throw metadata.Error("tokenizer.ggml.token_type", $"{kinds.Length} types for {Texts.Length} tokens");
        Kinds = kinds is null ? [.. Texts.Select(_ => TokenKind.Normal)] : [.. kinds.Select(k => (TokenKind)k)];
        for (int id = 0; id < Texts.Length; id++) Ids.TryAdd(Texts[id], id);
    }

    /// <summary>[Count].</summary>
    public string[] Texts { get; }

    /// <summary>[Count].</summary>
    public TokenKind[] Kinds { get; }

    public Dictionary<string, int> Ids { get; } = new(StringComparer.Ordinal);

    public int Count => Texts.Length;
}
