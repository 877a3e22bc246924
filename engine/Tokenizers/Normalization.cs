using System.Globalization;

namespace Tare.Tokenizers;

/// <summary>
/// Unicode normalization forms D and C (UAX 15) from committed tables (<c>decompositions.txt</c>, <c>compositions.txt</c>), since the runtime's own do nothing when globalization is invariant. Hangul by
/// arithmetic (Unicode 3.12).
/// </summary>
internal static class Normalization
{
    private static readonly Dictionary<int, byte> Classes = [];
    private static readonly Dictionary<(int, int), int> Composites = [];

    static Normalization()
    {
        using var stream = typeof(Normalization).Assembly.GetManifestResourceStream("compositions.txt") ?? throw new InvalidOperationException("the resource compositions.txt is missing");
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is string line)
        {
            string[] parts = line.Split(' ');
            if (parts[0] == "class")
                foreach (string code in parts[2..]) Classes.Add(Hex(code), byte.Parse(parts[1], CultureInfo.InvariantCulture));
            else if (parts[0] != "#") Composites.Add((Hex(parts[0]), Hex(parts[1])), Hex(parts[2]));
        }

        static int Hex(string code) => int.Parse(code, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    /// <summary>Form D: decomposed, marks in order of their combining classes.</summary>
    public static List<int> Decompose(ReadOnlySpan<int> text)
    {
        var points = new List<int>(text.Length);
        foreach (int p in text) CanonicalDecomposition.Append(p, points);
        for (int start = 0; start < points.Count; start++)
        {
            if (Class(points[start]) == 0) continue;
            int end = start;
            while (end < points.Count && Class(points[end]) != 0) end++;
            if (end - start > 1)
            {
                int[] marks = [.. points.GetRange(start, end - start).OrderBy(Class)]; // a stable sort
                for (int i = 0; i < marks.Length; i++) points[start + i] = marks[i];
            }
            start = end;
        }
        return points;
    }

    /// <summary>Form C: form D, then each mark joined with the last starter that it is not blocked from.</summary>
    public static List<int> Compose(ReadOnlySpan<int> text)
    {
        var points = Decompose(text);
        var result = new List<int>(points.Count);
        int starter = -1, lastClass = 0;
        foreach (int p in points)
        {
            int own = Class(p);
            if (starter >= 0 && (lastClass < own || lastClass == 0 && result.Count - 1 == starter) && TryCompose(result[starter], p, out int composed))
            {
                result[starter] = composed;
                continue;
            }
            if (own == 0) starter = result.Count;
            lastClass = own;
            result.Add(p);
        }
        return result;
    }

    private static byte Class(int p) => Classes.GetValueOrDefault(p);

    private static bool TryCompose(int first, int second, out int composed)
    {
        if (first is >= 0x1100 and < 0x1113 && second is >= 0x1161 and < 0x1176) composed = 0xAC00 + ((first - 0x1100) * 21 + (second - 0x1161)) * 28;
        else if (first is >= 0xAC00 and <= 0xD7A3 && (first - 0xAC00) % 28 == 0 && second is > 0x11A7 and < 0x11C3) composed = first + (second - 0x11A7);
        else return Composites.TryGetValue((first, second), out composed);
        return true;
    }
}
