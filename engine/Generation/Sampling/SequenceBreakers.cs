using Tare.Tokenizers;

namespace Tare.Generation.Sampling;

/// <summary>The tokens that hold a text which ends repetitions. A breaker that only several tokens together spell does not break.</summary>
internal static class SequenceBreakers
{
    /// <summary>Ids of the tokens that contain one of the texts; none without a tokenizer.</summary>
    public static IReadOnlySet<int> Find(Tokenizer? tokenizer, IReadOnlyList<string> texts)
    {
        var ids = new HashSet<int>();
        if (tokenizer is null || texts.Count == 0) return ids;
        for (int id = 0; id < tokenizer.Count; id++)
        {
            string text = tokenizer.Decode([id]);
            if (texts.Any(t => text.Contains(t, StringComparison.Ordinal))) ids.Add(id);
        }
        return ids;
    }
}
