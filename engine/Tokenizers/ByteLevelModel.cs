using System.Collections.Frozen;
using System.Text;
using Tare.Formats.Gguf;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tokenizers;

/// <summary>Byte-level BPE (<c>tokenizer.ggml.model</c> = <c>gpt2</c>): the text is cut by the rule's expressions, each piece merged as bytes.</summary>
internal sealed class ByteLevelModel : ITokenModel
{
    private static readonly FrozenSet<string> WholeWords = FrozenSet.ToFrozenSet(["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "tekken"], StringComparer.Ordinal);

    private const int LongestKnown = 64, MostKnown = 1 << 16;

    private readonly Vocabulary _vocabulary;
    private readonly int[] _byteIds; // [256], −1 where the vocabulary lacks the byte
    private readonly Dictionary<(int, int), (int, int)> _merges;
    private readonly CodePointPattern[] _patterns;
    private readonly bool _wholeWords;

    public ByteLevelModel(GgufMetadata metadata, Vocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        _byteIds = [.. ByteAlphabet.Characters.Select(c => vocabulary.Ids.GetValueOrDefault(c.ToString(), -1))];
        _merges = ReadMerges(metadata, vocabulary);
        string rule = metadata.FindString("tokenizer.ggml.pre") ?? "default"; // files from before the key existed
        string[] expressions = PreTokenizerRules.Find(rule) ?? throw metadata.Error("tokenizer.ggml.pre", $"'{rule}' is not known (known: {string.Join(", ", PreTokenizerRules.Names)})");
        _patterns = [.. expressions.Select(e => new CodePointPattern(e))];
        _wholeWords = WholeWords.Contains(rule);
    }

    /// <summary>Rules whose models begin a text with BOS where the file does not say.</summary>
    public bool AddsBeginningByDefault => _wholeWords;

    public bool HasSpacePrefix => false;

    public byte[] Bytes(int id) => ByteAlphabet.Decode(_vocabulary.Texts[id]);

    public long Encode(string text, bool afterSpecial, List<int> ids)
    {
        var merger = new BytePair(_merges);
        ReadOnlyMemory<int> points = CodePoints.Of(text);
        // Pieces come again and again: what one became is remembered by its characters.
        var known = new Dictionary<string, int[]>(StringComparer.Ordinal);
        var lookup = known.GetAlternateLookup<ReadOnlySpan<char>>();
        var symbols = new List<int>();
        int at = 0; // in UTF-16 units
        foreach (var (start, end) in Pieces(points))
        {
            var piece = points.Span[start..end];
            int length = piece.Length;
            foreach (int p in piece) length += p > 0xFFFF ? 1 : 0;
            var characters = text.AsSpan(at, length);
            at += length;
            if (length <= LongestKnown && lookup.TryGetValue(characters, out int[]? seen))
            {
                ids.AddRange(seen.AsSpan());
                continue;
            }
            int before = ids.Count;
            EncodePiece(piece, merger, symbols, ids);
            if (length <= LongestKnown && known.Count < MostKnown) known.Add(characters.ToString(), [.. System.Runtime.InteropServices.CollectionsMarshal.AsSpan(ids)[before..]]);
        }
        return merger.Operations;
    }

    private List<(int Start, int End)> Pieces(ReadOnlyMemory<int> points)
    {
        List<(int Start, int End)> pieces = [(0, points.Length)], finer = [];
        foreach (var pattern in _patterns)
        {
            finer.Clear();
            foreach (var (start, end) in pieces) pattern.Split(points, start, end, finer);
            (pieces, finer) = (finer, pieces);
        }
        return pieces;
    }

    private void EncodePiece(ReadOnlySpan<int> piece, BytePair merger, List<int> symbols, List<int> ids)
    {
        symbols.Clear();
        var written = _wholeWords ? new StringBuilder() : null;
        Span<byte> utf8 = stackalloc byte[4];
        foreach (int point in piece)
            foreach (byte b in utf8[..new Rune(point).EncodeToUtf8(utf8)])
            {
                if (_byteIds[b] >= 0) symbols.Add(_byteIds[b]);
                written?.Append(ByteAlphabet.Characters[b]);
            }
        if (written is not null && _vocabulary.Ids.TryGetValue(written.ToString(), out int whole)) ids.Add(whole);
        else merger.Merge(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(symbols), ids);
    }

    /// <summary>The merges of a file: pair of ids → rank and merged id.</summary>
    public static Dictionary<(int, int), (int, int)> ReadMerges(GgufMetadata metadata, Vocabulary vocabulary)
    {
        string[] lines = metadata.FindStrings("tokenizer.ggml.merges") ?? throw metadata.Error("tokenizer.ggml.merges", "is missing");
        var merges = new Dictionary<(int, int), (int, int)>(lines.Length);
        var ids = vocabulary.Ids;
        for (int rank = 0; rank < lines.Length; rank++)
        {
            int space = lines[rank].Length > 1 ? lines[rank].IndexOf(' ', 1) : -1;
            if (space < 0) throw metadata.Error("tokenizer.ggml.merges", $"entry {rank} ('{lines[rank]}') is not a pair");
            string left = lines[rank][..space], right = lines[rank][(space + 1)..];
            if (ids.TryGetValue(left, out int l) && ids.TryGetValue(right, out int r) && ids.TryGetValue(left + right, out int merged)) merges.TryAdd((l, r), (rank, merged));
            else throw metadata.Error("tokenizer.ggml.merges", $"entry {rank} ('{lines[rank]}') names a token that the vocabulary lacks");
        }
        return merges;
    }
}
