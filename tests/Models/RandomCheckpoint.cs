using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Tare.Formats;
using Tare.Formats.Safetensors;

namespace Tare.Tests.Models;

/// <summary>A checkpoint folder with random F32 weights; a tensor's values depend on its name (or the name it is a copy of) alone.</summary>
internal sealed class RandomCheckpoint : IDisposable
{
    private readonly SortedDictionary<string, (long[] Shape, float[] Values)> _tensors = new(StringComparer.Ordinal);

    public string Folder { get; } = Directory.CreateTempSubdirectory("tare-random-").FullName;

    public void Dispose() => Directory.Delete(Folder, true);

    /// <summary>A matrix scaled by its width, or a vector around <paramref name="center"/>.</summary>
    public RandomCheckpoint Add(string name, long[] shape, float center = 0, string? like = null)
    {
        ulong state = (like ?? name).Aggregate(14695981039346656037UL, (h, c) => (h ^ c) * 1099511628211UL);
        var random = new Random((int)(state >> 33));
        double scale = shape.Length == 1 ? 0.2 : 1 / Math.Sqrt(shape[^1]);
        return Add(name, shape, [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (a, b) => a * b)).Select(_ => (float)(center + scale * (random.NextDouble() * 2 - 1)))]);
    }

    public RandomCheckpoint Add(string name, long[] shape, float[] values)
    {
        _tensors.Add(name, (shape, values));
        return this;
    }

    public RandomCheckpoint Remove(string name)
    {
        _tensors.Remove(name).ShouldBeTrue(name);
        return this;
    }

    public float[] Values(string name) => _tensors[name].Values;

    public ModelFile Open(JsonObject config)
    {
        File.WriteAllText(Path.Combine(Folder, "config.json"), config.ToJsonString());
        SafetensorsWriter.Write(Path.Combine(Folder, "model.safetensors"), [.. _tensors.Select(t => new TensorToWrite(t.Key, TensorType.F32, ImmutableCollectionsMarshal.AsImmutableArray(t.Value.Shape), s => s.Write(MemoryMarshal.AsBytes<float>(t.Value.Values))))]);
        return ModelFile.Open(Folder);
    }
}
