using System.Collections.Frozen;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Tokenizers.Json;

namespace Tare.Tokenizers;

/// <summary>Text to token ids and back, as a GGUF file or a tokenizer.json describes it. Encoding and decoding are thread-safe.</summary>
public abstract class Tokenizer
{
    private protected static readonly FrozenSet<string> EndTexts = FrozenSet.ToFrozenSet(["<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>",
        "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<｜end▁of▁sentence｜>"], StringComparer.Ordinal);

    /// <summary>
    /// The ids that end a generation: those that a file names, and tokens with a text that is known to end turns. Where messages have channels (<c>&lt;|return|&gt;</c> and <c>&lt;|call|&gt;</c> end turns),
    /// <c>&lt;|end|&gt;</c> only ends a message.
    /// </summary>
    private protected static HashSet<int> Ends(IEnumerable<int?> named, IEnumerable<(string Text, int Id)> tokens)
    {
        var byText = tokens.Where(t => EndTexts.Contains(t.Text)).ToList();
        var ends = new HashSet<int>(named.OfType<int>().Concat(byText.Select(t => t.Id)));
        if (byText.Exists(t => t.Text == "<|return|>") && byText.Exists(t => t.Text == "<|call|>")) ends.ExceptWith(byText.Where(t => t.Text == "<|end|>").Select(t => t.Id).Except(named.OfType<int>()));
        return ends;
    }

    /// <summary>Size of the vocabulary.</summary>
    public abstract int Count { get; }

    /// <summary>BOS, or null.</summary>
    public abstract int? BeginningOfSequence { get; }

    /// <summary>EOS, or null.</summary>
    public abstract int? EndOfSequence { get; }

    /// <summary>All ids that end a generation.</summary>
    public abstract IReadOnlySet<int> EndOfGeneration { get; }

    /// <summary>Whether a text begins with BOS.</summary>
    public abstract bool AddsBeginningOfSequence { get; }

    /// <summary>Whether a text ends with EOS.</summary>
    public abstract bool AddsEndOfSequence { get; }

    /// <summary>Queue operations of all encodings so far.</summary>
    internal abstract long Operations { get; }

    /// <summary>The tokenizer of a model. Throws <see cref="ModelFileException"/> where there is none or a part of it is not known.</summary>
    public static Tokenizer Of(ModelFile file) => Find(file) ?? throw new ModelFileException(file.Path, "has no tokenizer");

    /// <summary>The tokenizer of a model, or null where it brings none.</summary>
    public static Tokenizer? Find(ModelFile file) => file switch
    {
        GgufFile gguf => gguf.Metadata.FindString("tokenizer.ggml.model") is null or "no_vocab" or "none" ? null : FromGguf(gguf),
        CheckpointFolder { TokenizerPath: string path } folder => JsonTokenizer.Read(path, folder.TokenizerConfig, folder.GenerationConfig, folder.Config),
        _ => null,
    };

    /// <summary>The tokenizer of a GGUF file: byte-level BPE (<c>gpt2</c>), SentencePiece BPE (<c>llama</c>) or WordPiece (<c>bert</c>). Other kinds are refused by name.</summary>
    public static Tokenizer FromGguf(GgufFile file) => GgufTokenizer.Read(file);

    /// <summary>A tokenizer.json, with the tokenizer_config.json beside it where there is one.</summary>
    public static Tokenizer FromJson(string path) => JsonTokenizer.Read(path);

    /// <summary>Ids of a text. <paramref name="addSpecial"/> adds BOS and EOS as the file says; <paramref name="parseSpecial"/> reads control tokens in the text as such.</summary>
    public abstract int[] Encode(string text, bool addSpecial = true, bool parseSpecial = true);

    /// <summary>The text of ids; incomplete UTF-8 becomes U+FFFD. Throws for ids outside of the vocabulary.</summary>
    public abstract string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false);

    /// <summary>A decoder for ids that arrive one by one.</summary>
    public abstract IncrementalDecoder CreateDecoder(bool skipSpecial = false);

    /// <summary>Whether an id is a control token.</summary>
    public abstract bool IsSpecial(int id);

    /// <summary>The token as the vocabulary writes it.</summary>
    public abstract string TokenText(int id);
}
