using Tare.Graphs;

namespace Tare.Capture;

/// <summary>The rows of one sequence at the selected sites, by canonical name, and its logits.</summary>
public sealed class ActivationCache
{
    private readonly Dictionary<string, (float[] Values, int Width)> _rows = new(StringComparer.Ordinal);

    internal ActivationCache(CaptureGraph capture, int[] tokens, Dictionary<string, float[]> outputs)
    {
        Tokens = tokens;
        foreach (var output in capture.Outputs) _rows.Add(output.Site.Name, (outputs[output.Output], output.Width));
        Logits = outputs.GetValueOrDefault(GraphBuilder.LogitsOutput, []);
    }

    /// <summary>The sequence.</summary>
    public IReadOnlyList<int> Tokens { get; }

    /// <summary>[tokens, vocabulary]; empty where the model has no head.</summary>
    public ReadOnlyMemory<float> Logits { get; }

    /// <summary>The sites, in order of the model.</summary>
    public IReadOnlyCollection<string> Names => _rows.Keys;

    /// <summary>[tokens, width] of a site.</summary>
    public ReadOnlyMemory<float> this[string site] => Find(site).Values;

    /// <summary>The row of a position.</summary>
    public ReadOnlySpan<float> Row(string site, int position)
    {
        var (values, width) = Find(site);
        return values.AsSpan(position * width, width);
    }

    /// <summary>Elements of a row.</summary>
    public int Width(string site) => Find(site).Width;

    private (float[] Values, int Width) Find(string site)
        => _rows.TryGetValue(site, out var found) ? found : throw new ArgumentException($"'{site}' was not captured (captured: {string.Join(", ", _rows.Keys.Take(5))}{(_rows.Count > 5 ? ", …" : "")})");
}
