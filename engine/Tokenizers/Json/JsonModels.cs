using System.Text.Json;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tokenizers.Json;

/// <summary>The model of a tokenizer.json: a piece becomes ids. Returns the number of queue operations.</summary>
internal delegate long PieceEncoder(string piece, List<int> ids);

/// <summary>Reads models: BPE and WordPiece.</summary>
internal static class JsonModels
{
    /// <summary>The vocabulary of a model: token → id.</summary>
    public static Dictionary<string, int> Vocabulary(JsonFields model)
    {
        var field = model.Get("vocab");
        if (field.Element.ValueKind != JsonValueKind.Object) throw field.Error("is not an object");
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var entry in field.Element.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out int id) || id < 0) throw field.Error($"'{entry.Name}': {entry.Value} is not an id");
            vocabulary[entry.Name] = id;
        }
        return vocabulary;
    }

    /// <summary>Reads a model; other types are refused by name. Files before the field existed are BPE.</summary>
    public static PieceEncoder Read(JsonFields model, Dictionary<string, int> vocabulary) => (model.FindString("type") ?? "BPE") switch
    {
        "BPE" => ReadBytePair(model, vocabulary),
        "WordPiece" => ReadWordPiece(model, vocabulary),
        _ => throw model.Unknown("BPE", "WordPiece"),
    };

    private static PieceEncoder ReadBytePair(JsonFields model, Dictionary<string, int> vocabulary)
    {
        string prefix = model.FindString("continuing_subword_prefix") ?? "", suffix = model.FindString("end_of_word_suffix") ?? "";
        bool fuse = model.Bool("fuse_unk", false), fallback = model.Bool("byte_fallback", false), whole = model.Bool("ignore_merges", false);
        int? unknown = model.FindString("unk_token") is { } text ? vocabulary.TryGetValue(text, out int id) ? id : throw model.Error($"unk_token '{text}' is not in the vocabulary") : null;
        var characters = new CharacterBytePair(vocabulary, ReadMerges(model, vocabulary, prefix), unknown, fuse, fallback, prefix, suffix);
        return (piece, ids) =>
        {
            if (!whole || !vocabulary.TryGetValue(piece, out int known)) return characters.Encode(piece, ids);
            ids.Add(known);
            return 0;
        };
    }

    // Pairs, or strings with one space between the two.
    private static Dictionary<(int, int), (int, int)> ReadMerges(JsonFields model, Dictionary<string, int> vocabulary, string prefix)
    {
        var merges = new Dictionary<(int, int), (int, int)>();
        int rank = 0;
        foreach (var entry in model.Get("merges").Items())
        {
            string left, right;
            if (entry.Element.ValueKind == JsonValueKind.String)
            {
                string line = entry.AsString();
                int space = line.Length > 1 ? line.IndexOf(' ', 1) : -1;
                if (space < 0) throw entry.Error($"'{line}' is not a pair");
                (left, right) = (line[..space], line[(space + 1)..]);
            }
            else
            {
                JsonFields[] pair = [.. entry.Items()];
                if (pair.Length != 2) throw entry.Error($"{pair.Length} parts are not a pair");
                (left, right) = (pair[0].AsString(), pair[1].AsString());
            }
            string joined = left + (prefix.Length > 0 && right.StartsWith(prefix, StringComparison.Ordinal) ? right[prefix.Length..] : right);
            if (!vocabulary.TryGetValue(left, out int l) || !vocabulary.TryGetValue(right, out int r) || !vocabulary.TryGetValue(joined, out int merged)) throw entry.Error($"'{left}' + '{right}' names a token that the vocabulary lacks");
            merges[(l, r)] = (rank++, merged);
        }
        return merges;
    }

    private static PieceEncoder ReadWordPiece(JsonFields model, Dictionary<string, int> vocabulary)
    {
        string prefix = model.FindString("continuing_subword_prefix") ?? "##", text = model.FindString("unk_token") ?? "[UNK]";
        int most = model.Find("max_input_chars_per_word")?.AsInteger() ?? 100, longest = vocabulary.Keys.Select(k => k.Length).DefaultIfEmpty().Max();
        if (!vocabulary.TryGetValue(text, out int unknown)) throw model.Error($"unk_token '{text}' is not in the vocabulary");
        return (piece, ids) =>
        {
            int before = ids.Count;
            long operations = 0;
            bool fits = CodePoints.Of(piece).Length <= most;
            for (int start = 0; fits && start < piece.Length;)
            {
                int length = Math.Min(longest, piece.Length - start);
                int found = -1;
                for (; length > 0; length--, operations++)
                    if (vocabulary.TryGetValue(start == 0 ? piece[..length] : prefix + piece.Substring(start, length), out found)) break;
                fits = length > 0;
                if (fits) ids.Add(found);
                start += length;
            }
            if (fits) return operations;
            ids.RemoveRange(before, ids.Count - before);
            ids.Add(unknown);
            return operations;
        };
    }
}
