using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;
using Tare.Capture.Statistics;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;

namespace Tare.Capture.Editing;

/// <summary>
/// A control vector as llama.cpp stores it: a GGUF file with <c>general.architecture = controlvector</c> and a tensor <c>direction.N</c> [width] a layer. llama.cpp counts twice: its generator takes direction.N from the
/// stream behind block N − 1 (counted from 0), its loader adds direction.N to the stream behind block N. Files are read and written so that both agree with it: direction.N is added at
/// <c>blocks.N.hook_resid_post</c>, and what is measured at <c>blocks.(N−1).hook_resid_post</c> is written as direction.N. So N runs from 1, and block 0 is never changed.
/// </summary>
public sealed class ControlVector
{
    private const string Architecture = "controlvector", Prefix = "direction.";
    private const int MaximumLayers = 1 << 16;

    private ControlVector(SortedDictionary<int, ImmutableArray<float>> directions, int width, string? modelHint) => (Directions, Width, ModelHint) = (directions, width, modelHint);

    /// <summary>The directions by N ≥ 1, each [width].</summary>
    public IReadOnlyDictionary<int, ImmutableArray<float>> Directions { get; }

    /// <summary>Elements of a direction.</summary>
    public int Width { get; }

    /// <summary>The architecture that the file says it is for, or null.</summary>
    public string? ModelHint { get; }

    /// <summary>From directions by N. Throws <see cref="ArgumentException"/>.</summary>
    public static ControlVector Create(IEnumerable<KeyValuePair<int, ImmutableArray<float>>> directions, string? modelHint = null)
    {
        var sorted = new SortedDictionary<int, ImmutableArray<float>>();
        foreach (var (layer, direction) in directions)
        {
            if (layer is < 1 or > MaximumLayers) throw new ArgumentException($"direction.{layer}: layers are counted from 1");
            if (direction.IsDefaultOrEmpty || (sorted.Count > 0 && sorted.First().Value.Length != direction.Length)) throw new ArgumentException($"direction.{layer} has {direction.Length} elements, others have {(sorted.Count > 0 ? sorted.First().Value.Length : 1)}");
            if (!sorted.TryAdd(layer, direction)) throw new ArgumentException($"direction.{layer} is given twice");
        }
        return sorted.Count > 0 ? new ControlVector(sorted, sorted.First().Value.Length, modelHint) : throw new ArgumentException("a control vector needs a direction");
    }

    /// <summary>Reads a file. Throws <see cref="ModelFileException"/> for one of another kind.</summary>
    public static ControlVector Read(string path)
    {
        using var file = ModelFile.Open(path);
        if (file is not GgufFile gguf) throw new ModelFileException(path, "is no GGUF file");
        string? architecture = gguf.Metadata.FindString("general.architecture");
        if (architecture != Architecture) throw new ModelFileException(path, $"general.architecture is '{architecture}', not '{Architecture}'");
        var directions = new List<KeyValuePair<int, ImmutableArray<float>>>();
        foreach (var tensor in file.Tensors)
        {
            if (!tensor.Name.StartsWith(Prefix, StringComparison.Ordinal) || !int.TryParse(tensor.Name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int layer) || layer is < 1 or > MaximumLayers)
                throw new ModelFileException(path, $"tensor '{tensor.Name}' is not direction.N with N from 1");
            if (!tensor.CanDecode || tensor.Shape.Length != 1 || tensor.ElementCount < 1) throw new ModelFileException(path, $"tensor '{tensor.Name}' is {tensor.TypeName} [{string.Join(", ", tensor.Shape)}], not a vector of numbers");
            float[] values = tensor.ToArray();
            foreach (float value in values)
                if (!float.IsFinite(value)) throw new ModelFileException(path, $"tensor '{tensor.Name}' holds {value}");
            directions.Add(new(layer, [.. values]));
        }
        try
        {
            return Create(directions, gguf.Metadata.FindString($"{Architecture}.model_hint"));
        }
        catch (ArgumentException e)
        {
            throw new ModelFileException(path, e.Message, e);
        }
    }

    /// <summary>Writes the file, F32, whole or not at all.</summary>
    public void Write(string path) => GgufWriter.Write(path,
    [
        ("general.architecture", GgufValueType.String, Architecture),
        ("controlvector.model_hint", GgufValueType.String, ModelHint ?? ""),
        ("controlvector.layer_count", GgufValueType.Int32, Directions.Count),
    ], [.. Directions.Select(d => new TensorToWrite($"{Prefix}{d.Key.ToString(CultureInfo.InvariantCulture)}", TensorType.F32, [d.Value.Length], stream => stream.Write(MemoryMarshal.AsBytes(d.Value.AsSpan()))))]);

    /// <summary>
    /// The edits that add the directions, <paramref name="scale"/> times, in layers <paramref name="first"/> … <paramref name="last"/> (both included, N of direction.N; null = 1 and the model's last). Directions that
    /// the model has no layer for are left out as llama.cpp leaves them out; when none is left, <see cref="EditException"/> is thrown.
    /// </summary>
    public IReadOnlyList<EditSpec> Edits(double scale, int blocks, int? first = null, int? last = null, string source = "the control vector")
    {
        int from = first ?? 1, to = last ?? blocks - 1;
        List<int> layers = [.. Directions.Keys.Where(n => n >= from && n <= to && n < blocks)];
        if (layers.Count == 0) throw new EditException($"{source} has directions {Directions.Keys.First()} … {Directions.Keys.Last()}, none for layers {from} … {Math.Min(to, blocks - 1)} (the model has {blocks} layers; layer 0 takes none)");
        return [.. layers.Select(n => EditSpec.Add(SiteNames.ResidPost(n), EditVectors.Same(Directions[n].AsSpan()), scale))];
    }

    /// <summary>The directions as vectors of the sites where they are added.</summary>
    public EditVectors Vectors(string source) => new VectorsBySite(Directions.ToDictionary(d => SiteNames.ResidPost(d.Key), d => new SiteVectors([.. d.Value.Select(v => (double)v)])), source);

    /// <summary>
    /// What tells one set of texts from another: the difference of the channel means behind each block, as directions. <paramref name="groups"/> says which rows count; null = all but position 0. With
    /// <paramref name="normalize"/> each has length 1. What is measured behind block N − 1 becomes direction.N, and the last block gives none, as in llama.cpp's generator.
    /// </summary>
    public static ControlVector Difference(StatisticsFile positive, StatisticsFile negative, string? groups = null, bool normalize = false, string? modelHint = null)
    {
        var directions = new SortedDictionary<int, ImmutableArray<float>>();
        int blocks = 0;
        while (positive.Sites.Any(s => s.Site.Name == SiteNames.ResidPost(blocks))) blocks++;
        if (blocks < 2) throw new EditException($"{positive.Path} has no statistics of {SiteNames.ResidPost(0)} and {SiteNames.ResidPost(1)}");
        for (int i = 0; i + 1 < blocks; i++) directions.Add(i + 1, [.. MeanDifference.Of(positive, negative, SiteNames.ResidPost(i), groups, normalize).Select(v => (float)v)]);
        return Create(directions, modelHint);
    }
}
