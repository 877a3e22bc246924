using System.Collections.Immutable;
using System.Text.Json;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;
using Tare.Models;

namespace Tare.Conversion;

/// <summary>
/// A checkpoint folder under GGUF's names. There is no table of its own: the architecture names each key and tensor in both formats while it builds the graph, and the graph tells the rest – which rows are reordered,
/// which gains are stored as 1 + w. The finished file is read back and must be the same computation, so what the format can't say is an error and never another model.
/// </summary>
internal static class CheckpointConversion
{
    public static ModelToWrite Read(CheckpointFolder folder, VocabularyUse vocabulary)
    {
        if (folder.Config is null) throw new ModelFileException(folder.Path, "has no config.json, so its architecture is not known");
        var record = new GgufRecord();
        var graph = ArchitectureRegistry.Build(folder, record);
        string type = folder.Config.Value.GetProperty("architectures")[0].GetString()!;
        string architecture = ArchitectureRegistry.GgufNameOf(type) ?? throw new ModelFileException(folder.Path, $"{type} has no name in GGUF (have one: {string.Join(", ", ArchitectureRegistry.HuggingFaceNames.Where(n => ArchitectureRegistry.GgufNameOf(n) is not null))})");
        var notes = new List<string>();
        var metadata = GgufKeys.Write(folder, architecture, graph, record);
        int rows = (int)Math.Min(int.MaxValue, record.Tensors.TryGetValue("token_embd.weight", out var embedding) ? embedding.Weight.Rows : 0);
        metadata.AddRange(vocabulary == VocabularyUse.None || folder.TokenizerPath is null
            ? [("tokenizer.ggml.model", GgufValueType.String, (object)"none")]
            : GgufVocabulary.Write(folder, architecture, rows));
        if (vocabulary != VocabularyUse.None && folder.TokenizerPath is null) notes.Add("the folder has no tokenizer.json, so the file has no vocabulary");
        if (folder.Tensors.FirstOrDefault(t => t.Name.StartsWith("cls.predictions", StringComparison.Ordinal)) is not null) notes.Add("the masked-language-model head is left out: the format has no place for it");
        return new ModelToWrite(architecture, metadata, Tensors(graph, record), notes, path => CheckSame(folder.Path, graph, path));
    }

    private static List<SourceTensor> Tensors(Graph graph, GgufRecord record)
    {
        var changed = new Dictionary<Weight, Weight>();
        foreach (var node in graph.Nodes)
            switch (node.Op)
            {
                case Norm { Spec.GainOffset: not 0 } norm when norm.Gain is { } gain: changed[gain] = new OffsetWeight(gain, norm.Spec.GainOffset); break;
                case SplitGroups { Widths.Length: 3 } split: Reorder(node, PartsOf(split)); break;
                case Rope rope when record.ReordersPairs: Reorder(node, PairsOf(rope.Spec)); break;
            }
        return [.. record.Tensors.Select(t => new SourceTensor(t.Key, t.Value.Shape, changed.GetValueOrDefault(t.Value.Weight, t.Value.Weight)))];

        void Reorder(Node reader, int[] order)
        {
            if (graph.OpOf(reader.Inputs[0]) is not Linear linear) throw new GraphException($"{reader.Op} reads no product, so its rows can't be reordered for GGUF");
            changed[linear.Weight] = new ReorderedWeight(linear.Weight, order);
            if (linear.Bias is { } bias) changed[bias] = new ReorderedWeight(bias, order);
        }
    }

    // Group after group [q, k, v] → all q, all k, all v.
    private static int[] PartsOf(SplitGroups split)
    {
        var order = new List<int>();
        int group = split.Widths.Sum(), start = 0;
        foreach (int width in split.Widths)
        {
            for (int g = 0; g < split.Groups; g++) order.AddRange(Enumerable.Range(g * group + start, width));
            start += width;
        }
        return [.. order];
    }

    // Element i of the first half and of the second become neighbors.
    internal static int[] PairsOf(RopeSpec spec)
    {
        int[] order = [.. Enumerable.Range(0, spec.Heads * spec.HeadWidth)];
        for (int h = 0; h < spec.Heads; h++)
            for (int i = 0, first = h * spec.HeadWidth + spec.Offset; i < spec.RotatedWidth; i++) order[first + i] = first + i / 2 + i % 2 * (spec.RotatedWidth / 2);
        return order;
    }

    private static void CheckSame(string source, Graph wanted, string written)
    {
        using var file = ModelFile.Open(written);
        Graph read;
        try
        {
            read = ArchitectureRegistry.Build(file);
        }
        catch (ModelFileException e)
        {
            throw new ModelFileException(source, $"GGUF can't express this model yet: {e.Message[(e.Path.Length + 2)..]}", e);
        }
        if (read.FindOutput(GraphBuilder.LogitsOutput) is null) wanted = wanted.WithOutputs([new GraphOutput(GraphBuilder.HiddenOutput, wanted.HiddenStates[^1])]);
        if (SameComputation.Difference(wanted, read) is { } difference) throw new ModelFileException(source, $"GGUF can't express this model: {difference}");
    }
}
