using System.Text.Json;
using Tare.Formats;
using Tare.Formats.Gguf;
using Tare.Formats.Safetensors;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Models;

/// <summary>How long a sequence may be.</summary>
public static class ContextLength
{
    /// <summary>The length where nobody asks for one, at most.</summary>
    public const int Default = 4096;

    /// <summary>What the model was made for, or null where the file does not say.</summary>
    public static int? Trained(ModelFile file)
    {
        if (file is GgufFile gguf) return gguf.Metadata.FindInteger($"{gguf.Metadata.FindString("general.architecture")}.context_length") is long length and > 0 and <= int.MaxValue ? (int)length : null;
        if ((file as CheckpointFolder)?.Config is not { } config) return null;
        foreach (string key in new[] { "max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length", "max_context_length" })
            if (config.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int length) && length > 0) return length;
        return null;
    }

    /// <summary>The positions that the model has learned, or null where it needs no table of them.</summary>
    public static long? LearnedPositions(Graph graph)
    {
        long? positions = null;
        foreach (var node in graph.Nodes)
            if (node.Op is Embed { Constant: false } embed && graph.OpOf(node.Inputs[0]) is Input { Kind: InputKind.Positions }) positions = Math.Min(positions ?? long.MaxValue, embed.Table.Rows - embed.Offset);
        return positions;
    }

    /// <summary>Throws where a sequence is longer than the positions that the model has learned.</summary>
    public static void Check(ModelFile file, Graph graph, string what, int tokens)
    {
        if (LearnedPositions(graph) is long positions && tokens > positions) throw new ModelFileException(file.Path, $"{what} has {tokens} tokens, but the model has learned {positions} positions");
    }

    /// <summary>The length to run with: what is asked for, else the trained length up to <see cref="Default"/>. Throws where learned positions don't reach so far.</summary>
    public static int Choose(ModelFile file, Graph graph, int? asked)
    {
        if (asked is < 2) throw new ArgumentException($"a context of {asked} tokens is too short (at least 2)");
        int chosen = asked ?? Math.Min(Default, Trained(file) ?? Default);
        long positions = LearnedPositions(graph) ?? long.MaxValue;
        if (chosen <= positions) return chosen;
        return asked is null ? (int)positions : throw new ModelFileException(file.Path, $"a context of {asked} tokens is asked for, but the model has learned {positions} positions");
    }
}
