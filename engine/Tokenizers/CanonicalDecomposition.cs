using System.Globalization;

namespace Tare.Tokenizers;

/// <summary>
/// Canonical decomposition from a committed table (<c>decompositions.txt</c>, made by <c>tools/unicode/decompositions.py</c>), since the runtime's own does nothing when globalization is
/// invariant. Hangul syllables by arithmetic (Unicode 3.12). Marks are not reordered: the caller drops them.
/// </summary>
internal static class CanonicalDecomposition
{
    private static readonly Dictionary<int, int[]> Table = Load();

    /// <summary>Appends the decomposition of a code point, or the code point itself.</summary>
    public static void Append(int codePoint, List<int> output)
    {
        if (codePoint is >= 0xAC00 and <= 0xD7A3)
        {
            int index = codePoint - 0xAC00;
            output.Add(0x1100 + index / 588);
            output.Add(0x1161 + index % 588 / 28);
            if (index % 28 != 0) output.Add(0x11A7 + index % 28);
        }
        else if (Table.TryGetValue(codePoint, out int[]? parts)) output.AddRange(parts);
        else output.Add(codePoint);
    }

    private static Dictionary<int, int[]> Load()
    {
        using var stream = typeof(CanonicalDecomposition).Assembly.GetManifestResourceStream("decompositions.txt") ?? throw new InvalidOperationException("the resource decompositions.txt is missing");
        using var reader = new StreamReader(stream);
        var table = new Dictionary<int, int[]>();
        while (reader.ReadLine() is string line)
        {
            if (line.StartsWith('#')) continue;
            int[] codes = [.. line.Split(' ').Select(c => int.Parse(c, NumberStyles.HexNumber, CultureInfo.InvariantCulture))];
            table.Add(codes[0], codes[1..]);
        }
        return table;
    }
}
