using System.Reflection;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Graphs;

namespace Tare.Models;

/// <summary>Finds the architecture of a model file and builds its graph.</summary>
public static class ArchitectureRegistry
{
    private static readonly (ArchitectureAttribute Name, Type Type)[] Entries =
    [
        .. typeof(ArchitectureRegistry).Assembly.GetTypes().SelectMany(t => t.GetCustomAttributes<ArchitectureAttribute>().Select(a => (a, t))),
    ];

    /// <summary>Names in GGUF, sorted.</summary>
    public static IReadOnlyList<string> GgufNames { get; } = [.. Entries.Select(e => e.Name.Gguf).OfType<string>().Distinct().Order(StringComparer.Ordinal)];

    /// <summary>Hugging Face classes, sorted.</summary>
    public static IReadOnlyList<string> HuggingFaceNames { get; } = [.. Entries.Select(e => e.Name.HuggingFace).OfType<string>().Distinct().Order(StringComparer.Ordinal)];

    /// <summary>Builds the graph of a model. Throws <see cref="ModelFileException"/> when the architecture is unknown or the file doesn't fit it.</summary>
    public static Graph Build(ModelFile model) => Build(model, null);

    /// <summary>Builds the graph and writes into <paramref name="record"/> what a GGUF file of the same model holds.</summary>
    internal static Graph Build(ModelFile model, GgufRecord? record)
    {
        var config = Config.Of(model, record);
        var (name, type, known) = model switch
        {
            GgufFile gguf => (gguf.Metadata.FindString("general.architecture") ?? throw gguf.Metadata.Error("general.architecture", "is missing"), Find(e => e.Gguf, gguf.Metadata.FindString("general.architecture")), GgufNames),
            _ => (config.HuggingFaceClass(), Find(e => e.HuggingFace, config.HuggingFaceClass()), HuggingFaceNames),
        };
        if (type is null) throw new ModelFileException(model.Path, $"architecture '{name}' is not known (known: {string.Join(", ", known)})");
        if (config.Section("quantization_config") is { } quantized) throw config.Error("quantization_config", $"weights quantized by '{quantized.FindString("quant_method") ?? "an unnamed method"}' are not supported");
        try
        {
            return ((IArchitecture)Activator.CreateInstance(type)!).Build(config, new WeightSource(model, record));
        }
        catch (GraphException e)
        {
            throw new ModelFileException(model.Path, $"does not fit architecture '{name}': {e.Message}", e);
        }
        catch (OverflowException e)
        {
            throw new ModelFileException(model.Path, $"does not fit architecture '{name}': a size overflows", e);
        }
    }

    /// <summary>The GGUF name of a Hugging Face class, or null where that format has none.</summary>
    internal static string? GgufNameOf(string huggingFace)
    {
        var entry = Entries.FirstOrDefault(e => e.Name.HuggingFace == huggingFace);
        return entry.Name?.Gguf ?? Entries.Where(e => e.Type == entry.Type).Select(e => e.Name.Gguf).FirstOrDefault(n => n is not null);
    }

    /// <summary>The table of the documentation: a row an architecture file, with its names in both formats.</summary>
    public static string Markdown()
    {
        var rows = Entries.GroupBy(e => e.Type).OrderBy(g => g.Key.Name, StringComparer.Ordinal)
            .Select(g => $"| {g.Key.Name} | {Join(g.Select(e => e.Name.Gguf))} | {Join(g.Select(e => e.Name.HuggingFace))} |\n");
        return "| file | GGUF | Hugging Face |\n|---|---|---|\n" + string.Concat(rows);

        static string Join(IEnumerable<string?> names) => names.OfType<string>().Distinct().ToArray() is { Length: > 0 } known ? string.Join(", ", known.Select(n => $"`{n}`")) : "–";
    }

    private static Type? Find(Func<ArchitectureAttribute, string?> key, string? name) => Entries.FirstOrDefault(e => key(e.Name) == name).Type;
}
