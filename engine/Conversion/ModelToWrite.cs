using System.Collections.Immutable;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Graphs.Weights;

namespace Tare.Conversion;

/// <summary>A tensor that a GGUF file will hold: its name there, its shape (outermost first) and where its rows come from.</summary>
internal sealed record SourceTensor(string Name, ImmutableArray<long> Shape, Weight Rows);

/// <summary>A model under GGUF's names, before types are chosen: from a GGUF file as it is, or from a checkpoint folder by way of its architecture.</summary>
internal sealed record ModelToWrite(string Architecture, IReadOnlyList<(string Key, GgufValueType Type, object Value)> Metadata, IReadOnlyList<SourceTensor> Tensors, IReadOnlyList<string> Notes, Action<string>? Check = null)
{
    /// <summary>Reads a model. Throws <see cref="ModelFileException"/> where it can't be written as GGUF.</summary>
    public static ModelToWrite Of(ModelFile file, VocabularyUse vocabulary) => file switch
    {
        GgufFile gguf => OfGguf(gguf),
        Formats.Safetensors.CheckpointFolder folder => CheckpointConversion.Read(folder, vocabulary),
        _ => throw new ModelFileException(file.Path, "is neither a GGUF file nor a checkpoint folder"),
    };

    private static ModelToWrite OfGguf(GgufFile file)
    {
        var metadata = new List<(string, GgufValueType, object)>();
        foreach (string key in file.Metadata.Keys)
            if (key is not ("general.file_type" or "general.quantization_version") && !key.StartsWith("split.", StringComparison.Ordinal) && file.Metadata.TryGet(key, out var kind, out object? value)) metadata.Add((key, kind, value!));
        return new ModelToWrite(file.Metadata.FindString("general.architecture") ?? "", metadata, [.. file.Tensors.Select(t => new SourceTensor(t.Name, t.Shape, new MappedWeight(t)))], []);
    }
}

/// <summary>What a converter does with the tokenizer of a checkpoint.</summary>
public enum VocabularyUse
{
    /// <summary>It is written; one that GGUF can't express is an error.</summary>
    Required,

    /// <summary>It is left out.</summary>
    None,
}
