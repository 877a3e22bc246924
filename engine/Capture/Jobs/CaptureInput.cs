using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using Tare.Capture.Running;
using Tare.Formats;
using Tare.Tokenizers;

namespace Tare.Capture.Jobs;

/// <summary>Texts as sequences of at most so many tokens: a text file is one text; of a JSONL file every line is one, as <c>text</c> or as token ids in <c>ids</c> or <c>input_ids</c>.</summary>
public static class CaptureInput
{
    /// <summary>Cuts texts into windows; each begins with BOS where the tokenizer adds one. Rows are numbered through, with <paramref name="generate"/> rows behind each sequence.</summary>
    public static List<CaptureSequence> Read(string name, string content, bool lines, Tokenizer? tokenizer, string model, int vocabulary, int context, int generate)
    {
        int room = context - generate;
        if (room < 2) throw new ArgumentException($"a context of {context} tokens leaves no room for a prompt before {generate} generated ones");
        var sequences = new List<CaptureSequence>();
        long row = 0;
        foreach (var (ids, beginning) in lines ? Lines(name, content, tokenizer, model, vocabulary) : [Encode(content, tokenizer, model)])
        {
            int text = beginning is null ? room : room - 1;
            for (int at = 0; at < ids.Length; at += text)
            {
                int[] tokens = [.. beginning is int bos ? [bos] : Array.Empty<int>(), .. ids.AsSpan(at, Math.Min(text, ids.Length - at))];
                sequences.Add(new CaptureSequence(tokens, row));
                row += tokens.Length + generate;
            }
        }
        return sequences.Count > 0 ? sequences : throw new ModelFileException(name, "holds no tokens");
    }

    /// <summary>Hash of all tokens and where sequences end.</summary>
    public static string Hash(IEnumerable<CaptureSequence> sequences)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var sequence in sequences)
        {
            hash.AppendData(BitConverter.GetBytes(sequence.Tokens.Length));
            hash.AppendData(MemoryMarshal.AsBytes<int>(sequence.Tokens));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static (int[] Ids, int? Beginning) Encode(string text, Tokenizer? tokenizer, string model)
    {
        if (tokenizer is null) throw new ModelFileException(model, "has no tokenizer; give token ids as JSONL");
        return (tokenizer.Encode(text, addSpecial: false), tokenizer.AddsBeginningOfSequence ? tokenizer.BeginningOfSequence : null);
    }

    private static IEnumerable<(int[] Ids, int? Beginning)> Lines(string name, string content, Tokenizer? tokenizer, string model, int vocabulary)
    {
        int number = 0;
        foreach (var range in content.Split('\n'))
        {
            number++;
            if (string.IsNullOrWhiteSpace(range)) continue;
            yield return Line(name, range, number, tokenizer, model, vocabulary);
        }
    }

    private static (int[] Ids, int? Beginning) Line(string name, string line, int number, Tokenizer? tokenizer, string model, int vocabulary)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            if (json.RootElement.ValueKind == JsonValueKind.Object)
            {
                if (json.RootElement.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.String) return Encode(text.GetString()!, tokenizer, model);
                if (json.RootElement.TryGetProperty("ids", out var ids) || json.RootElement.TryGetProperty("input_ids", out ids))
                {
                    int[] tokens = [.. ids.EnumerateArray().Select(i => i.GetInt32())];
                    foreach (int id in tokens)
                        if (id < 0 || id >= vocabulary) throw new ModelFileException(name, $"line {number}: token id {id} is outside of {vocabulary} tokens");
                    return (tokens, null);
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new ModelFileException(name, $"line {number} is not JSON with a text or token ids ({e.Message})", e);
        }
        throw new ModelFileException(name, $"line {number} has neither 'text' nor 'ids' nor 'input_ids'");
    }
}
