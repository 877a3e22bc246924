using System.Collections.Immutable;
using Tare.Formats;
using Tare.Formats.Safetensors;

namespace Tare.Capture.Editing;

/// <summary>
/// Vectors from a file: a .safetensors with one tensor [width] or [count, width], with tensors named after sites, or of which one is chosen; or a GGUF control vector, whose directions belong to
/// <c>blocks.N.hook_resid_post</c> (<see cref="ControlVector"/>).
/// </summary>
public static class VectorFile
{
    private const long MaximumElements = 1 << 26;

    /// <summary>Reads vectors; <paramref name="tensor"/> names the only one wanted. Throws <see cref="ModelFileException"/>.</summary>
    public static EditVectors Read(string path, string? tensor = null)
    {
        if (!path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))
        {
            if (tensor is not null) throw new ModelFileException(path, $"tensor '{tensor}' can be chosen from a .safetensors file only");
            return ControlVector.Read(path).Vectors(path);
        }
        using var file = ModelFile.Open(path);
        if (file is CheckpointFolder folder && folder.FileMetadata.ContainsKey("tare.facts")) throw new ModelFileException(path, "holds statistics; take means of it with action mean, or make a vector of two such files (tare capture vector)");
        if (tensor is not null) return new SameVectors(Vectors(path, file.TryGetTensor(tensor, out var chosen) ? chosen : throw new ModelFileException(path, $"has no tensor '{tensor}' (it has: {Names(file)})")));
        if (file.Tensors.Count == 0) throw new ModelFileException(path, "holds no tensor");
        if (file.Tensors.Count == 1) return new SameVectors(Vectors(path, file.Tensors[0]));
        return new VectorsBySite(file.Tensors.ToDictionary(t => t.Name, t => Vectors(path, t)), path);
    }

    private static SiteVectors Vectors(string path, MappedTensor tensor)
    {
        if (!tensor.CanDecode) throw new ModelFileException(path, $"tensor '{tensor.Name}' is {tensor.TypeName}");
        if (tensor.Shape.Length is < 1 or > 2 || tensor.ElementCount is < 1 or > MaximumElements) throw new ModelFileException(path, $"tensor '{tensor.Name}' [{string.Join(", ", tensor.Shape)}] is not [width] or [count, width]");
        var values = new double[tensor.ElementCount];
        tensor.ReadRows(0, (int)tensor.RowCount, values);
        return new SiteVectors(ImmutableArray.Create(values), (int)tensor.RowCount);
    }

    private static string Names(ModelFile file) => string.Join(", ", file.Tensors.Take(4).Select(t => t.Name)) + (file.Tensors.Count > 4 ? ", …" : "");
}
