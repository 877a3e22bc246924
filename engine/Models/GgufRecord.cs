using System.Collections.Immutable;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Weights;

namespace Tare.Models;

/// <summary>
/// What an architecture read of a checkpoint under names that GGUF knows too: its keys and tensors in that format. A converter adds what only the graph tells (reordered rows, folded gains).
/// </summary>
internal sealed class GgufRecord
{
    private readonly Dictionary<string, (Weight Weight, ImmutableArray<long> Shape)> _tensors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, object> _metadata = new(StringComparer.Ordinal);

    /// <summary>Keys without the architecture's prefix.</summary>
    public IReadOnlyDictionary<string, object> Metadata => _metadata;

    /// <summary>Tensors by their GGUF name, in the order in which they were read.</summary>
    public IReadOnlyDictionary<string, (Weight Weight, ImmutableArray<long> Shape)> Tensors => _tensors;

    /// <summary>Whether q and k rows that the checkpoint holds for halves must be reordered for neighboring pairs.</summary>
    public bool ReordersPairs { get; private set; }

    /// <summary>Notes the value of a key; the last one counts.</summary>
    public void Set(string key, object value) => _metadata[key] = value;

    /// <summary>Notes a tensor; the last expression under a name counts.</summary>
    public void Add(string name, Weight weight, ImmutableArray<long> shape) => _tensors[name] = (weight, shape);

    /// <summary>Notes a table that a checkpoint keeps in its configuration.</summary>
    public void AddTable(string name, IEnumerable<double> values)
    {
        float[] all = [.. values.Select(v => (float)v)];
        Add(name, new ConstantWeight(name, 1, all.Length, all), [all.Length]);
    }

    /// <summary>Notes the rotary pairs of the two formats.</summary>
    public void ReorderPairs(RopePairing huggingFace, RopePairing gguf) => ReordersPairs = (huggingFace, gguf) == (RopePairing.Halves, RopePairing.Neighbors);
}
