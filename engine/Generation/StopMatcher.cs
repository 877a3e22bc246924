using System.Text;

namespace Tare.Generation;

/// <summary>Holds text back while it may be the beginning of a stop string, and ends it before the first one.</summary>
internal sealed class StopMatcher
{
    private readonly string[] _stops;
    private readonly StringBuilder _held = new();

    public StopMatcher(IEnumerable<string> stops) => _stops = [.. stops.Where(s => s.Length > 0)];

    /// <summary>Adds text. Returns what may be shown; <paramref name="stopped"/> when a stop string is complete (it and all behind it are dropped).</summary>
    public string Push(string text, out bool stopped)
    {
        stopped = false;
        if (_stops.Length == 0) return text;
        _held.Append(text);
        string all = _held.ToString();
        int first = -1;
        foreach (string stop in _stops)
            if (all.IndexOf(stop, StringComparison.Ordinal) is >= 0 and var at && (first < 0 || at < first)) first = at;
        if (first >= 0)
        {
            stopped = true;
            _held.Clear();
            return all[..first];
        }
        int keep = 0;
        foreach (string stop in _stops)
            for (int length = Math.Min(stop.Length - 1, all.Length); length > keep; length--)
                if (string.CompareOrdinal(all, all.Length - length, stop, 0, length) == 0) keep = length;
        _held.Clear();
        _held.Append(all, all.Length - keep, keep);
        return all[..^keep];
    }

    /// <summary>What was held back, when nothing follows.</summary>
    public string Flush()
    {
        string rest = _held.ToString();
        _held.Clear();
        return rest;
    }
}
