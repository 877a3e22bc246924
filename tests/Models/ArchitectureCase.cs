using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Graphs;
using Tare.Models;
using Tare.Tests.Support;

namespace Tare.Tests.Models;

/// <summary>A checkpoint of <c>conformance/architectures</c> in one of its forms, with the outputs that it must give.</summary>
public sealed record ArchitectureCase(string Name, string ModelPath, string ConfigName, string ExpectedPath)
{
    /// <summary>All folders in both config dialects, and all GGUF forms. One stand-in where the data is absent (the tests are skipped then).</summary>
    public static TheoryData<ArchitectureCase> All()
    {
        var cases = new TheoryData<ArchitectureCase>();
        if (SharedData.Conformance("architectures") is not string root) return [new ArchitectureCase("none", "", "", "")];
        foreach (string folder in Directory.GetDirectories(root).Order(StringComparer.Ordinal))
        {
            string name = Path.GetFileName(folder), expected = Path.Combine(folder, "expected.safetensors");
            foreach (string config in Directory.GetFiles(folder, "config*.json").Order(StringComparer.Ordinal))
                cases.Add(new ArchitectureCase($"{name} ({Path.GetFileName(config)})", folder, Path.GetFileName(config), expected));
            if (SharedData.Conformance("architectures-gguf") is string ggufs && Path.Combine(ggufs, name + ".gguf") is var file && File.Exists(file))
                cases.Add(new ArchitectureCase($"{name} (GGUF)", file, "", expected));
        }
        return cases;
    }

    internal ModelFile Open() => ModelFile.Open(ModelPath, new OpenOptions { ConfigName = ConfigName });

    /// <summary>Whether the engine knows the file's architecture.</summary>
    internal static bool IsRegistered(ModelFile model) => (model is GgufFile ? ArchitectureRegistry.GgufNames : ArchitectureRegistry.HuggingFaceNames).Contains(ArchitectureName(model));

    internal static string ArchitectureName(ModelFile model) => model is GgufFile gguf
        ? gguf.Metadata.FindString("general.architecture")!
        : ((CheckpointFolder)model).Config!.Value.GetProperty("architectures")[0].GetString()!;

    /// <summary>[2, 24] token ids as two sequences.</summary>
    internal static int[][] Tokens(ModelFile expected)
    {
        expected.TryGetTensor("input_ids", out var ids).ShouldBeTrue();
        var flat = new double[ids!.ElementCount];
        ids.ReadRows(0, (int)ids.RowCount, flat);
        return [.. Enumerable.Range(0, (int)ids.RowCount).Select(s => flat.Skip(s * ids.Width).Take(ids.Width).Select(v => (int)v).ToArray())];
    }

    /// <summary>Hidden states, one array [2 · 24 · width] a layer.</summary>
    internal static List<(float[] Values, int Width)> HiddenStates(ModelFile expected)
    {
        if (expected.TryGetTensor("hidden_states", out var all))
        {
            float[] flat = all.ToArray();
            int layer = flat.Length / (int)all.Shape[0];
            return [.. Enumerable.Range(0, (int)all.Shape[0]).Select(i => (flat.AsSpan(i * layer, layer).ToArray(), all.Width))];
        }
        var states = new List<(float[], int)>();
        while (expected.TryGetTensor($"hidden_states.{states.Count}", out var one)) states.Add((one.ToArray(), one.Width));
        return states;
    }

    /// <summary>The graph with logits (if any) and every hidden state as outputs.</summary>
    internal static Graph WithHiddenStates(Graph graph)
    {
        var hidden = graph.HiddenStates.Select((v, i) => new GraphOutput($"hidden.{i}", v));
        return graph.WithOutputs(graph.FindOutput(GraphBuilder.LogitsOutput) is { } logits ? hidden.Prepend(new GraphOutput(GraphBuilder.LogitsOutput, logits)) : hidden);
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
