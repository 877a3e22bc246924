using System.Collections.Immutable;
using Tare.Formats;
using Tare.Formats.Quantization;

namespace Tare.Conversion;

/// <summary>Which tensor gets which type, as llama.cpp's plain types do it.</summary>
/// <param name="Type">The wanted type of matrices.</param>
/// <param name="Pure">All matrices get it, also the output matrix.</param>
/// <param name="OutputType">Type of the output matrix, where given.</param>
/// <param name="EmbeddingType">Type of the token embedding, where given.</param>
public sealed record TypePolicy(TensorType Type, bool Pure = false, TensorType? OutputType = null, TensorType? EmbeddingType = null)
{
    // What has few elements and many readers, or is indexed and not multiplied.
    private static readonly string[] KeptParts = ["_norm.weight", "ffn_gate_inp", "position_embd", "token_types", "rope_freqs", "rope_factors", "attn_rel_b", "ssm_conv1d", "altup", "laurel"];

    /// <summary>The type of one tensor, and why it is not the wanted one.</summary>
    internal (TensorType Type, string? Reason) Choose(string name, ImmutableArray<long> shape, TensorType stored, int width, string architecture, bool ownOutput)
    {
        if (stored is TensorType.I8 or TensorType.I16 or TensorType.I32 or TensorType.I64) return (stored, "not a weight");
        // Tensors of checkpoints come in halves; readers of GGUF expect vectors in F32.
        if (shape.Length < 2) return (stored is TensorType.F16 or TensorType.BF16 or TensorType.F64 ? TensorType.F32 : stored, "a vector");
        if (!name.EndsWith("weight", StringComparison.Ordinal)) return (stored, "not a weight");
        if (KeptParts.Any(p => name.Contains(p, StringComparison.Ordinal))) return (stored is TensorType.BF16 or TensorType.F16 or TensorType.F64 ? TensorType.F32 : stored, "kept precise");
        var (wanted, reason) = Wanted(name, width, architecture, ownOutput);
        var fitting = Fitting(wanted, width);
        return fitting == wanted ? (wanted, reason) : (fitting, $"blocks of {BlockOf(wanted)} don't divide rows of {width}");
    }

    private (TensorType, string?) Wanted(string name, int width, string architecture, bool ownOutput)
    {
        bool embedding = name == "token_embd.weight", output = name == "output.weight" || embedding && !ownOutput;
        if (output && OutputType is { } chosen) return (chosen, "as asked for the output");
        if (embedding && EmbeddingType is { } table) return (table, "as asked for the embedding");
        if (!output || Pure || BlockOf(Type) == 1 || Type == TensorType.Q8_0) return (Type, null);
        return (architecture == "falcon" || width % 256 != 0 || Type == TensorType.MXFP4 ? TensorType.Q8_0 : TensorType.Q6_K, "the output matrix");
    }

    // A type of about the same size whose blocks divide the row.
    private static TensorType Fitting(TensorType type, int width)
    {
        if (width % BlockOf(type) != 0) type = type switch { TensorType.Q4_K => TensorType.Q5_0, TensorType.Q5_K => TensorType.Q5_1, TensorType.Q6_K => TensorType.Q8_0, _ => TensorType.F16 };
        return width % BlockOf(type) == 0 ? type : TensorType.F16;
    }

    private static int BlockOf(TensorType type) => BlockFormats.TryGet(type, out var format) ? format.ValuesPerBlock : 1;
}
