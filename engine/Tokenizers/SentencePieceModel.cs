using System.Globalization;
using System.Text;
using Tare.Formats.Gguf;

namespace Tare.Tokenizers;

/// <summary>
/// SentencePiece BPE (Kudo and Richardson 2018; <c>tokenizer.ggml.model</c> = <c>llama</c>): spaces become ▁, and of all neighbors whose joined text is a token, those of the highest score
/// merge first, the leftmost first. What no token covers becomes byte tokens, or the unknown token. O(n log n).
/// </summary>
internal sealed class SentencePieceModel : ITokenModel
{
    private const char Space = '▁';

    private readonly Vocabulary _vocabulary;
    private readonly double[] _scores;                 // [Count]
    private readonly Dictionary<string, int> _mergeable = new(StringComparer.Ordinal);
    private readonly int[] _byteIds = new int[256];    // −1 where the vocabulary has no byte token
    private readonly int[] _byteOf;                    // [Count], −1 for all but byte tokens
    private readonly int? _unknown;

    public SentencePieceModel(GgufMetadata metadata, Vocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        _scores = metadata.FindNumbers("tokenizer.ggml.scores") ?? throw metadata.Error("tokenizer.ggml.scores", "is missing");
        if (_scores.Length != vocabulary.Count) throw metadata.Error("tokenizer.ggml.scores", $"{_scores.Length} scores for {vocabulary.Count} tokens");
        HasSpacePrefix = metadata.FindBool("tokenizer.ggml.add_space_prefix") ?? true;
        _byteOf = new int[vocabulary.Count];
        Array.Fill(_byteIds, -1);
        Array.Fill(_byteOf, -1);
        for (int id = 0; id < vocabulary.Count; id++)
        {
            string text = vocabulary.Texts[id];
            if (vocabulary.Kinds[id] == TokenKind.Byte)
            {
                if (text.Length != 6 || !text.StartsWith("<0x", StringComparison.Ordinal) || !byte.TryParse(text.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value))
                    throw metadata.Error("tokenizer.ggml.tokens", $"byte token {id} is '{text}', not one of <0x00> … <0xFF>");
                (_byteIds[value], _byteOf[id]) = (id, value);
            }
            else if (vocabulary.Kinds[id] is TokenKind.Normal or TokenKind.UserDefined or TokenKind.Unused && text.Length > 0) _mergeable.TryAdd(text, id);
        }
        _unknown = metadata.FindInteger("tokenizer.ggml.unknown_token_id") is long unknown && unknown >= 0 && unknown < vocabulary.Count ? (int)unknown : null;
    }

    public bool HasSpacePrefix { get; }

    public byte[] Bytes(int id) => _byteOf[id] >= 0 ? [(byte)_byteOf[id]] : Encoding.UTF8.GetBytes(_vocabulary.Texts[id].Replace(Space, ' '));

    public long Encode(string text, bool afterSpecial, List<int> ids)
    {
        string escaped = ((HasSpacePrefix && afterSpecial ? " " : "") + text).Replace(' ', Space);
        int[] starts = CharacterStarts(escaped), lengths = new int[starts.Length], previous = new int[starts.Length], next = new int[starts.Length];
        var lookup = _mergeable.GetAlternateLookup<ReadOnlySpan<char>>();
        var queue = new PriorityQueue<(int At, int Length), (double, int)>();
        long operations = 0;
        for (int i = 0; i < starts.Length; i++)
            (lengths[i], previous[i], next[i]) = ((i + 1 < starts.Length ? starts[i + 1] : escaped.Length) - starts[i], i - 1, i + 1 < starts.Length ? i + 1 : -1);
        for (int i = 0; i + 1 < starts.Length; i++) Offer(i);
        while (queue.TryDequeue(out var pair, out _))
        {
            operations++;
            int at = pair.At, right = next[at];
            if (lengths[at] == 0 || right < 0 || lengths[at] + lengths[right] != pair.Length) continue; // one of the two was merged meanwhile
            lengths[at] = pair.Length;
            lengths[right] = 0;
            next[at] = next[right];
            if (next[at] >= 0) previous[next[at]] = at;
            if (previous[at] >= 0) Offer(previous[at]);
            Offer(at);
        }
        for (int i = starts.Length == 0 ? -1 : 0; i >= 0; i = next[i]) Append(escaped.AsSpan(starts[i], lengths[i]), lookup, ids);
        return operations;

        void Offer(int at)
        {
            int right = next[at];
            if (right < 0 || !_mergeable.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(escaped.AsSpan(starts[at], lengths[at] + lengths[right]), out int id)) return;
            operations++;
            queue.Enqueue((at, lengths[at] + lengths[right]), (-_scores[id], at));
        }
    }

    private void Append(ReadOnlySpan<char> symbol, Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup, List<int> ids)
    {
        if (lookup.TryGetValue(symbol, out int id))
        {
            ids.Add(id);
            return;
        }
        byte[] bytes = Encoding.UTF8.GetBytes(symbol.ToArray());
        if (bytes.All(b => _byteIds[b] >= 0)) ids.AddRange(bytes.Select(b => _byteIds[b]));
        else if (_unknown is int unknown) ids.Add(unknown);
    }

    private static int[] CharacterStarts(string text)
    {
        var starts = new List<int>(text.Length);
        for (int i = 0; i < text.Length; i += char.IsSurrogatePair(text, i) ? 2 : 1)
        {
            starts.Add(i);
            if (i + 1 >= text.Length) break;
        }
        return [.. starts];
    }
}
