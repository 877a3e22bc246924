using System.Globalization;
using System.Text;

namespace Tare.Tokenizers.Json;

/// <summary>The decoders of a tokenizer.json: tokens to strings, which are joined at the end.</summary>
internal static class Decoders
{
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    private static readonly (string From, string To)[] CleanUp =
    [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ];

    /// <summary>Reads one; other types are refused by name.</summary>
    public static Func<List<string>, List<string>> Read(JsonFields field)
    {
        switch (field.Type)
        {
            case "Sequence":
                Func<List<string>, List<string>>[] parts = [.. field.Get("decoders").Items().Select(Read)];
                return tokens => parts.Aggregate(tokens, (current, part) => part(current));
            case "ByteLevel": return tokens => [Encoding.UTF8.GetString([.. tokens.SelectMany(ByteAlphabet.Decode)])];
            case "Replace":
                var replace = Replacement.Read(field);
                return tokens => [.. tokens.Select(replace)];
            case "ByteFallback": return ByteFallback;
            case "Fuse": return tokens => [string.Concat(tokens)];
            case "Strip":
                string content = field.String("content");
                if (content.Length != 1) throw field.Error($"content '{content}' is not one character");
                int start = field.Integer("start"), stop = field.Integer("stop");
                return tokens => [.. tokens.Select(t => Strip(t, content[0], start, stop))];
            case "Metaspace":
                string mark = field.FindString("replacement") ?? "▁", first = field.FindString("prepend_scheme") is "never" || !field.Bool("add_prefix_space", true) ? " " : "";
                return tokens => [.. tokens.Select((t, i) => t.Replace(mark, i == 0 ? first : " ", StringComparison.Ordinal))];
            case "WordPiece":
                string prefix = field.FindString("prefix") ?? "##";
                bool cleanUp = field.Bool("cleanup", true);
                return tokens => [.. tokens.Select((t, i) => WordPiece(t, i, prefix, cleanUp))];
            default: throw field.Unknown("Sequence", "ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace", "WordPiece");
        }
    }

    // Runs of byte tokens become their text, or one U+FFFD a byte where they are no UTF-8.
    private static List<string> ByteFallback(List<string> tokens)
    {
        var result = new List<string>();
        var bytes = new List<byte>();
        foreach (string token in tokens)
        {
            if (token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>' && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value))
            {
                bytes.Add(value);
                continue;
            }
            Flush();
            result.Add(token);
        }
        Flush();
        return result;

        void Flush()
        {
            if (bytes.Count == 0) return;
            try
            {
                result.Add(Strict.GetString([.. bytes]));
            }
            catch (DecoderFallbackException)
            {
                result.AddRange(Enumerable.Repeat("\uFFFD", bytes.Count));
            }
            bytes.Clear();
        }
    }

    private static string Strip(string token, char content, int start, int stop)
    {
        int from = 0, to = token.Length;
        while (from < to && from < start && token[from] == content) from++;
        for (int i = 0; i < stop && to > from && token[to - 1] == content; i++) to--;
        return token[from..to];
    }

    private static string WordPiece(string token, int index, string prefix, bool cleanUp)
    {
        if (index > 0) token = token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : " " + token;
        return cleanUp ? CleanUp.Aggregate(token, (text, pair) => text.Replace(pair.From, pair.To, StringComparison.Ordinal)) : token;
    }
}
