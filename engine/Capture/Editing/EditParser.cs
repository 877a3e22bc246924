using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Tare.Capture.Statistics;
using Tare.Execution.Edits;
using Tare.Formats;

namespace Tare.Capture.Editing;

/// <summary>
/// Edits as text: <c>ACTION:SITES[:FILE][:NUMBER][:key=value …]</c>, or a .json file with a list of objects of the same fields. NUMBER is the strength (of <c>scale</c> the factor). Keys: <c>strength</c>, <c>factor</c>,
/// <c>file</c>, <c>tensor</c>, <c>group</c>, <c>sequence</c>, <c>shift</c>, <c>layers</c>, <c>heads</c>, <c>channels</c>, <c>positions</c>, <c>phase</c>, <c>tokens</c>, <c>min</c>, <c>max</c>; lists are
/// <c>0,3..7</c>, positions may be open (<c>5..</c>) or negative (from the end of the prompt).
/// </summary>
public static partial class EditParser
{
    private const int MaximumListed = 1 << 20;

    /// <summary>Names of the actions.</summary>
    public static IReadOnlyDictionary<string, EditAction> Actions { get; } = Enum.GetValues<EditAction>().ToDictionary(a => JsonNamingPolicy.KebabCaseLower.ConvertName(a.ToString()), StringComparer.Ordinal);

    private static readonly string[] Keys = ["action", "sites", "strength", "factor", "file", "tensor", "vector", "group", "sequence", "shift", "layers", "heads", "channels", "positions", "phase", "tokens", "min", "max"];

    /// <summary>The edits of a text or file. Throws <see cref="EditException"/> for what can't be read, <see cref="ModelFileException"/> for a bad file.</summary>
    public static IReadOnlyList<EditSpec> Parse(string text) => text.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? ReadJson(text) : [Build(text, Split(text), null, "")];

    private static Dictionary<string, string> Split(string text)
    {
        var parts = text.Split(':').ToList();
        // The colon of a drive belongs to its path.
        for (int i = parts.Count - 2; i >= 2; i--)
            if (parts[i].Length == 1 && char.IsAsciiLetter(parts[i][0]) && parts[i + 1].StartsWith('\\'))
            {
                parts[i] += ":" + parts[i + 1];
                parts.RemoveAt(i + 1);
            }
        if (parts.Count < 2 || parts[0].Length == 0 || parts[1].Length == 0) throw new EditException($"edit '{text}': write ACTION:SITES[:FILE][:NUMBER][:key=value …], with an action of {string.Join(", ", Actions.Keys)}");
        var fields = new Dictionary<string, string>(StringComparer.Ordinal) { ["action"] = parts[0], ["sites"] = parts[1] };
        foreach (string part in parts.Skip(2))
        {
            bool isNumber = double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out _), isPair = Pair().IsMatch(part);
            string key = isPair ? part[..part.IndexOf('=', StringComparison.Ordinal)] : !isNumber ? "file" : parts[0] == "scale" ? "factor" : "strength";
            if (part.Length == 0 || !fields.TryAdd(key, isPair ? part[(key.Length + 1)..] : part)) throw new EditException($"edit '{text}': {(part.Length == 0 ? "an empty part" : $"{key} is given twice")}");
        }
        return fields;
    }

    private static List<EditSpec> ReadJson(string path)
    {
        JsonDocument document;
        try
        {
            using var stream = File.OpenRead(path);
            document = JsonDocument.Parse(stream);
        }
        catch (JsonException e)
        {
            throw new ModelFileException(path, $"is no JSON ({e.Message})", e);
        }
        using (document)
        {
            var root = document.RootElement;
            if (root.ValueKind == JsonValueKind.Object && root.TryGetProperty("edits", out var list)) root = list;
            if (root.ValueKind == JsonValueKind.Object) return [FromJson(path, root, 0)];
            if (root.ValueKind != JsonValueKind.Array) throw new ModelFileException(path, "is neither an edit, a list of edits, nor {\"edits\": […]}");
            return [.. root.EnumerateArray().Select((item, i) => FromJson(path, item, i))];
        }
    }

    private static EditSpec FromJson(string path, JsonElement json, int number)
    {
        string label = $"{path}, edit {number}";
        if (json.ValueKind != JsonValueKind.Object) throw new EditException($"{label}: is no object");
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        double[]? vector = null;
        foreach (var member in json.EnumerateObject())
            if (member.Name == "vector") vector = [.. Items(label, member).Select(v => v.ValueKind == JsonValueKind.Number ? v.GetDouble() : throw new EditException($"{label}: vector holds {v}"))];
            else if (!fields.TryAdd(member.Name, Text(label, member))) throw new EditException($"{label}: {member.Name} is given twice");
        return Build(label, fields, vector, Path.GetDirectoryName(path) ?? "");
    }

    private static string Text(string label, JsonProperty member) => member.Value.ValueKind switch
    {
        JsonValueKind.String => member.Value.GetString()!,
        JsonValueKind.Number => member.Value.GetRawText(),
        JsonValueKind.Array => string.Join(",", Items(label, member).Select(v => v.ValueKind is JsonValueKind.Number ? v.GetRawText() : v.ValueKind is JsonValueKind.String ? v.GetString() : throw new EditException($"{label}: {member.Name} holds {v}"))),
        _ => throw new EditException($"{label}: {member.Name} is {member.Value.GetRawText()}"),
    };

    private static IEnumerable<JsonElement> Items(string label, JsonProperty member) => member.Value.ValueKind == JsonValueKind.Array ? member.Value.EnumerateArray() : throw new EditException($"{label}: {member.Name} is not a list");

    private static EditSpec Build(string label, Dictionary<string, string> fields, double[]? vector, string folder)
    {
        if (fields.Keys.FirstOrDefault(k => !Keys.Contains(k)) is { } unknown) throw new EditException($"edit '{label}': '{unknown}' is not one of {string.Join(", ", Keys)}");
        if (!fields.TryGetValue("action", out string? name) || !Actions.TryGetValue(name, out var action)) throw new EditException($"edit '{label}': '{name}' is not one of {string.Join(", ", Actions.Keys)}");
        if (action == EditAction.Scale && !fields.ContainsKey("factor")) throw new EditException($"edit '{label}': scale needs a factor");
        if (action != EditAction.Scale && fields.ContainsKey("factor")) throw new EditException($"edit '{label}': factor belongs to scale");
        return new EditSpec
        {
            Action = action,
            Sites = fields.GetValueOrDefault("sites") ?? throw new EditException($"edit '{label}': it names no sites"),
            Strength = Number("strength", 1),
            Factor = Number("factor", 1),
            Minimum = Number("min", double.NegativeInfinity),
            Maximum = Number("max", double.PositiveInfinity),
            Layers = Integers("layers"),
            Heads = Integers("heads"),
            Channels = Integers("channels"),
            Rows = new RowSelection { Positions = Positions(), Tokens = Integers("tokens"), Generated = Generated() },
            Vectors = Vectors(),
        };

        double Number(string key, double otherwise) => !fields.TryGetValue(key, out string? value) ? otherwise
            : double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number) ? number : throw new EditException($"edit '{label}': {key} '{value}' is no number");

        long Whole(string key) => fields.TryGetValue(key, out string? value) ? long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) ? number : throw new EditException($"edit '{label}': {key} '{value}' is no whole number") : 0;

        bool? Generated() => fields.GetValueOrDefault("phase") switch
        {
            null or "any" => null,
            "prompt" => false,
            "generated" => true,
            var other => throw new EditException($"edit '{label}': phase '{other}' is not prompt, generated or any"),
        };

        ImmutableArray<int> Integers(string key)
        {
            var numbers = ImmutableArray.CreateBuilder<int>();
            foreach (var (first, last) in Ranges(key))
            {
                if (first is not int from || last is not int to || from < 0 || to < from || (long)to - from + numbers.Count >= MaximumListed) throw new EditException($"edit '{label}': {key} '{fields[key]}' is no list like 0,3..7");
                for (int i = from; i <= to; i++) numbers.Add(i);
            }
            return numbers.ToImmutable();
        }

        ImmutableArray<PositionRange> Positions() => [.. Ranges("positions").Select(r => new PositionRange(r.First ?? 0, r.Last ?? int.MaxValue))];

        IEnumerable<(int? First, int? Last)> Ranges(string key)
        {
            foreach (string part in fields.GetValueOrDefault(key)?.Split(',') ?? [])
            {
                var match = Range().Match(part.Trim());
                int? first = Bound(match.Groups[1]), last = match.Groups[2].Success ? Bound(match.Groups[3]) : first;
                if (!match.Success || (first is null && !match.Groups[2].Success)) throw new EditException($"edit '{label}': {key} '{part}' is no number or range like 3..7");
                yield return (first, last);
            }
        }

        EditVectors? Vectors()
        {
            string? file = fields.GetValueOrDefault("file");
            if (file is not null && vector is not null) throw new EditException($"edit '{label}': give a file or a vector, not both");
            if (file is null && vector is null)
            {
                foreach (string key in new[] { "tensor", "group", "sequence", "shift" })
                    if (fields.ContainsKey(key)) throw new EditException($"edit '{label}': {key} belongs to a file");
                return action is EditAction.Zero or EditAction.Scale ? null : throw new EditException($"edit '{label}': {name} needs a file{(label.Contains(".json", StringComparison.OrdinalIgnoreCase) ? " or a vector" : "")}");
            }
            if (vector is not null) return EditVectors.Same(vector);
            string path = Path.Combine(folder, file!);
            return action switch
            {
                EditAction.Zero or EditAction.Scale => throw new EditException($"edit '{label}': {name} takes no file ('{file}')"),
                EditAction.Mean when File.Exists(path) && path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase) && !StatisticsFile.IsOne(path) => VectorFile.Read(path, fields.GetValueOrDefault("tensor")),
                EditAction.Mean => new MeansBySite(StatisticsFile.Read(path), fields.GetValueOrDefault("group")),
                EditAction.Patch => new CapturedRows(path, Whole("sequence"), checked((int)Math.Clamp(Whole("shift"), int.MinValue, int.MaxValue))),
                _ => VectorFile.Read(path, fields.GetValueOrDefault("tensor")),
            };
        }
    }

    private static int? Bound(Group group) => group is { Success: true, Length: > 0 } && int.TryParse(group.ValueSpan, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) ? value : null;

    [GeneratedRegex("^[a-z]+=")]
    private static partial Regex Pair();

    [GeneratedRegex(@"^(-?\d{1,9})?(\.\.(-?\d{1,9})?)?$")]
    private static partial Regex Range();
}
