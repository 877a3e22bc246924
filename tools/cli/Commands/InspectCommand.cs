using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Spectre.Console;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;

namespace Tare.Cli.Commands;

/// <summary><c>tare inspect MODEL</c>: metadata and tensors of any model file, known architecture or not.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "A .gguf, a .safetensors or a checkpoint folder." };
        var tensors = new Option<bool>("--tensors") { Description = "List every tensor." };
        var json = SharedOptions.Json();
        var command = new Command("inspect", "Show what a model file holds.") { model, tensors, json };
        command.SetAction(arguments =>
        {
            using var file = ModelFile.Open(arguments.GetValue(model)!);
            if (arguments.GetValue(json)) WriteJson(file);
            else WriteTables(file, arguments.GetValue(tensors));
            return 0;
        });
        return command;
    }

    private static void WriteTables(ModelFile file, bool tensors)
    {
        var summary = new Table { Border = TableBorder.Simple }.AddColumn("key").AddColumn("value");
        void Row(string key, string value) => summary.AddRow(new Text(key), new Text(value));
        Row("path", file.Path);
        Row("format", file is GgufFile gguf ? $"GGUF v{gguf.Version}, {gguf.Parts} part(s), alignment {gguf.Alignment}" : "safetensors");
        Row("tensors", file.Tensors.Count.ToString(CultureInfo.InvariantCulture));
        Row("parameters", file.Tensors.Sum(t => t.ElementCount).ToString("N0", CultureInfo.InvariantCulture));
        Row("bytes", file.Tensors.Sum(t => t.ByteLength).ToString("N0", CultureInfo.InvariantCulture));
        Row("types", string.Join(", ", file.Tensors.GroupBy(t => (t.Type, t.TypeName)).OrderBy(g => g.Key.Type).Select(g => $"{g.Key.TypeName} × {g.Count()}")));
        foreach (var (key, value) in Metadata(file)) Row(key, value is string text && text.Length > 100 ? $"{text[..100]}…" : $"{value}");
        Write(summary);
        if (!tensors) return;
        var list = new Table { Border = TableBorder.Simple }.AddColumn("tensor").AddColumn("type").AddColumn("shape").AddColumn(new TableColumn("bytes").RightAligned());
        foreach (var tensor in file.Tensors)
            list.AddRow(new Text(tensor.Name), new Text(tensor.TypeName), new Text($"[{string.Join(", ", tensor.Shape)}]"), new Text(tensor.CanDecode ? tensor.ByteLength.ToString("N0", CultureInfo.InvariantCulture) : "?"));
        Write(list);
    }

    private static void Write(Table table)
    {
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 300;
        AnsiConsole.Write(table);
    }

    private static void WriteJson(ModelFile file)
    {
        using var stream = Console.OpenStandardOutput();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("path", file.Path);
            json.WriteString("format", file is GgufFile ? "gguf" : "safetensors");
            if (file is GgufFile gguf)
            {
                json.WriteNumber("version", gguf.Version);
                json.WriteNumber("parts", gguf.Parts);
                json.WriteNumber("alignment", gguf.Alignment);
            }
            json.WriteNumber("parameters", file.Tensors.Sum(t => t.ElementCount));
            json.WriteStartObject("metadata");
            foreach (var (key, value) in Metadata(file, whole: true))
            {
                json.WritePropertyName(key);
                WriteValue(json, value);
            }
            json.WriteEndObject();
            json.WriteStartArray("tensors");
            foreach (var tensor in file.Tensors)
            {
                json.WriteStartObject();
                json.WriteString("name", tensor.Name);
                json.WriteString("type", tensor.TypeName);
                json.WriteStartArray("shape");
                foreach (long size in tensor.Shape) json.WriteNumberValue(size);
                json.WriteEndArray();
                if (tensor.CanDecode) json.WriteNumber("bytes", tensor.ByteLength);
                else json.WriteNull("bytes");
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        stream.Write("\n"u8);
    }

    private static IEnumerable<(string Key, object Value)> Metadata(ModelFile file, bool whole = false)
    {
        if (file is GgufFile gguf)
            foreach (string key in gguf.Metadata.Keys)
            {
                gguf.Metadata.TryGet(key, out _, out object? value);
                yield return (key, value is GgufArray array && !whole ? $"[{array.Items.Length} × {array.ElementType}]" : value!);
            }
        else if (file is CheckpointFolder folder)
        {
            foreach (var (key, value) in folder.FileMetadata) yield return (key, value);
            if (folder.Config is JsonElement config)
                foreach (var property in config.EnumerateObject()) yield return ($"config.{property.Name}", whole ? property.Value : property.Value.GetRawText());
        }
    }

    private static void WriteValue(Utf8JsonWriter json, object value)
    {
        switch (value)
        {
            case string text: json.WriteStringValue(text); break;
            case bool truth: json.WriteBooleanValue(truth); break;
            case JsonElement element: element.WriteTo(json); break;
            case float or double: WriteNumber(json, Convert.ToDouble(value, CultureInfo.InvariantCulture), value); break;
            case GgufArray array:
                json.WriteStartArray();
                foreach (object item in array.Items) WriteValue(json, item);
                json.WriteEndArray();
                break;
            case ulong number: json.WriteNumberValue(number); break;
            default: json.WriteNumberValue(Convert.ToInt64(value, CultureInfo.InvariantCulture)); break;
        }
    }

    private static void WriteNumber(Utf8JsonWriter json, double wide, object value)
    {
        if (!double.IsFinite(wide)) json.WriteStringValue(wide.ToString(CultureInfo.InvariantCulture)); // JSON has no infinities
        else if (value is float single) json.WriteNumberValue(single);
        else json.WriteNumberValue(wide);
    }
}
