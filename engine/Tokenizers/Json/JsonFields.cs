using System.Text.Json;
using Tare.Formats;

namespace Tare.Tokenizers.Json;

/// <summary>Checked access to the fields of a tokenizer.json: errors name the file, the path and the value.</summary>
internal readonly record struct JsonFields(string File, string Path, JsonElement Element)
{
    public string Type => String("type");

    public bool IsNull => Element.ValueKind == JsonValueKind.Null;

    public ModelFileException Error(string message) => new(File, $"{Path}: {message}");

    /// <summary>An error that refuses a component by name.</summary>
    public ModelFileException Unknown(params string[] known) => Error($"'{Type}' is not known (known: {string.Join(", ", known)})");

    public JsonFields? Find(string name)
    {
        if (Element.ValueKind != JsonValueKind.Object) throw Error("is not an object");
        return Element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? new JsonFields(File, Path.Length == 0 ? name : $"{Path}.{name}", value) : null;
    }

    public JsonFields Get(string name) => Find(name) ?? throw Error($"{name} is missing");

    public string String(string name) => Get(name).AsString();

    public string? FindString(string name) => Find(name)?.AsString();

    public bool Bool(string name, bool otherwise) => Find(name) is { } field ? field.Element.ValueKind is JsonValueKind.True or JsonValueKind.False ? field.Element.GetBoolean() : throw field.Error("is not true or false") : otherwise;

    public int Integer(string name) => Get(name).AsInteger();

    public string AsString() => Element.ValueKind == JsonValueKind.String ? Element.GetString()! : throw Error("is not a string");

    public int AsInteger() => Element.ValueKind == JsonValueKind.Number && Element.TryGetInt32(out int value) ? value : throw Error($"'{Element}' is not a 32-bit integer");

    public IEnumerable<JsonFields> Items()
    {
        if (Element.ValueKind != JsonValueKind.Array) throw Error("is not an array");
        return Enumerate(this);

        static IEnumerable<JsonFields> Enumerate(JsonFields list)
        {
            int index = 0;
            foreach (var item in list.Element.EnumerateArray()) yield return new JsonFields(list.File, $"{list.Path}[{index++}]", item);
        }
    }
}
