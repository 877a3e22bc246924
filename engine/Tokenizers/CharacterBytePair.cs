using System.Text;
using Tare.Tokenizers.PreTokenizers;

namespace Tare.Tokenizers;

/// <summary>
/// Byte-pair merging that starts from characters. One that the vocabulary lacks becomes byte tokens <c>&lt;0x00&gt; … &lt;0xFF&gt;</c>, or the unknown token (one a run where they are fused), or nothing.
/// </summary>
/// <param name="vocabulary">Token → id.</param>
/// <param name="merges">Pair → rank and result.</param>
/// <param name="unknown">The unknown token, or null.</param>
/// <param name="fuseUnknown">One unknown token for a run of unknown characters.</param>
/// <param name="byteFallback">Use byte tokens.</param>
/// <param name="prefix">In front of each character but the first.</param>
/// <param name="suffix">Behind the last character.</param>
internal sealed class CharacterBytePair(Dictionary<string, int> vocabulary, Dictionary<(int Left, int Right), (int Rank, int Merged)> merges, int? unknown, bool fuseUnknown, bool byteFallback, string prefix = "", string suffix = "")
{
    private readonly int[] _bytes = [.. Enumerable.Range(0, 256).Select(b => vocabulary.GetValueOrDefault($"<0x{b:X2}>", -1))];

    /// <summary>Appends the ids of a piece; returns the number of queue operations.</summary>
    public long Encode(string piece, List<int> ids)
    {
        var symbols = new List<int>(piece.Length);
        bool afterUnknown = false;
        int[] points = CodePoints.Of(piece);
        for (int i = 0; i < points.Length; i++)
        {
            string character = char.ConvertFromUtf32(points[i]);
            if (i > 0) character = prefix + character;
            if (i == points.Length - 1) character += suffix;
            if (vocabulary.TryGetValue(character, out int symbol))
            {
                symbols.Add(symbol);
                afterUnknown = false;
                continue;
            }
            byte[] utf8 = byteFallback ? Encoding.UTF8.GetBytes(character) : [];
            if (utf8.Length > 0 && Array.TrueForAll(utf8, b => _bytes[b] >= 0))
            {
                foreach (byte b in utf8) symbols.Add(_bytes[b]);
                afterUnknown = false;
                continue;
            }
            if (unknown is int id && !(fuseUnknown && afterUnknown)) symbols.Add(id);
            afterUnknown = unknown is not null;
        }
        var merger = new BytePair(merges);
        merger.Merge(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(symbols), ids);
        return merger.Operations;
    }
}
