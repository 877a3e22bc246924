using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Tare.Formats.Gguf;

/// <summary>The key–value part of a GGUF file. Typed getters convert between number types where nothing is lost, and name file, key and value where they can't.</summary>
public sealed class GgufMetadata
{
    private readonly string _path;
    private readonly Dictionary<string, (GgufValueType Type, object Value)> _values = new(StringComparer.Ordinal);
    private readonly List<string> _keys = [];

    internal GgufMetadata(string path) => _path = path;

    /// <summary>Keys in the order of the file.</summary>
    public IReadOnlyList<string> Keys => _keys;

    /// <summary>Type and raw value (number, bool, string or <see cref="GgufArray"/>).</summary>
    public bool TryGet(string key, out GgufValueType type, [NotNullWhen(true)] out object? value)
    {
        bool found = _values.TryGetValue(key, out var entry);
        (type, value) = found ? entry : (default, null);
        return found;
    }

    /// <summary>A string, or null where the key is absent.</summary>
    public string? FindString(string key) => Find(key, "a string", v => v as string);

    /// <summary>An integer, or null.</summary>
    public long? FindInteger(string key) => Find<long?>(key, "an integer", v => v switch
    {
        byte or sbyte or ushort or short or uint or int or long => Convert.ToInt64(v, CultureInfo.InvariantCulture),
        ulong u when u <= long.MaxValue => (long)u,
        _ => null,
    });

    /// <summary>A number, or null.</summary>
    public double? FindNumber(string key) => Find<double?>(key, "a number", v => v is string or bool or GgufArray ? null : Convert.ToDouble(v, CultureInfo.InvariantCulture));

    /// <summary>A bool, or null.</summary>
    public bool? FindBool(string key) => Find<bool?>(key, "a bool", v => v as bool?);

    /// <summary>An array of strings, or null.</summary>
    public string[]? FindStrings(string key) => Find<string[]>(key, "an array of strings", v => (v as GgufArray)?.Items as string[]);

    /// <summary>An array of integers of any type, or null.</summary>
    public long[]? FindIntegers(string key) => Find<long[]>(key, "an array of integers", v => v is not GgufArray array ? null : array.Items switch
    {
        byte[] or sbyte[] or ushort[] or short[] or uint[] or int[] or long[] => [.. array.Items.Cast<object>().Select(i => Convert.ToInt64(i, CultureInfo.InvariantCulture))],
        ulong[] items when items.All(i => i <= long.MaxValue) => [.. items.Select(i => (long)i)],
        _ => null,
    });

    /// <summary>An array of numbers of any type, or null.</summary>
    public double[]? FindNumbers(string key) => Find<double[]>(key, "an array of numbers", v => v is not GgufArray { Items: not (string[] or bool[] or GgufArray[]) } array
        ? null : array.Items.Cast<object>().Select(i => Convert.ToDouble(i, CultureInfo.InvariantCulture)).ToArray());

    /// <summary>The error for a value that can't be used.</summary>
    public ModelFileException Error(string key, string problem) => new(_path, $"{key}: {problem}");

    internal void Add(string key, GgufValueType type, object value)
    {
        if (!_values.TryAdd(key, (type, value))) throw new ModelFileException(_path, $"key '{key}' occurs twice");
        _keys.Add(key);
    }

    private T? Find<T>(string key, string wanted, Func<object, T?> convert)
    {
        if (!_values.TryGetValue(key, out var entry)) return default;
        return convert(entry.Value) ?? throw Error(key, $"{Show(entry)} is not {wanted}");
    }

    private static string Show((GgufValueType Type, object Value) entry) => entry.Value switch
    {
        GgufArray array => $"an array of {array.Items.Length} {array.ElementType}",
        string text => text.Length <= 60 ? $"'{text}'" : $"a string of {text.Length} characters",
        _ => $"{entry.Value} ({entry.Type})",
    };
}
