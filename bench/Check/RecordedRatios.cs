using System.Text.Json;
using System.Text.Json.Serialization;
using Tare.Formats;

namespace Tare.Bench.Check;

/// <summary>The ratios of machines, in a JSON file that appears whole or not at all.</summary>
internal sealed class RecordedRatios
{
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly SortedDictionary<string, SortedDictionary<string, Interval>> _machines;

    private sealed record Interval([property: JsonRequired] double Value, [property: JsonRequired] double Low, [property: JsonRequired] double High);

    private RecordedRatios(SortedDictionary<string, SortedDictionary<string, Interval>> machines) => _machines = machines;

    /// <summary>Reads a file; one that is not there holds nothing.</summary>
    public static RecordedRatios Read(string path)
    {
        if (!File.Exists(path)) return new RecordedRatios([]);
        try
        {
            return new RecordedRatios(JsonSerializer.Deserialize<SortedDictionary<string, SortedDictionary<string, Interval>>>(File.ReadAllBytes(path), Format) ?? []);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path}: {e.Message}");
        }
    }

    /// <summary>Whether there is something for a machine.</summary>
    public bool Knows(string machine) => _machines.ContainsKey(machine);

    /// <summary>The ratio of a machine; null where none is recorded.</summary>
    public Ratio? Find(string machine, string name) => _machines.TryGetValue(machine, out var ratios) && ratios.TryGetValue(name, out var r) ? new Ratio(name, r.Value, r.Low, r.High) : null;

    /// <summary>Puts a measured ratio in place of the recorded one.</summary>
    public void Put(string machine, Ratio ratio)
    {
        if (!_machines.TryGetValue(machine, out var ratios)) _machines[machine] = ratios = new(StringComparer.Ordinal);
        ratios[ratio.Name] = new Interval(Math.Round(ratio.Value, 4), Math.Round(ratio.Low, 4), Math.Round(ratio.High, 4));
    }

    /// <summary>Writes the file.</summary>
    public void Write(string path) => AtomicFile.Write(path, stream =>
    {
        JsonSerializer.Serialize(stream, _machines, Format);
        stream.WriteByte((byte)'\n');
    });
}
