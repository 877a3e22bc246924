using System.Diagnostics.CodeAnalysis;

namespace Tare.Formats.Quantization;

/// <summary>All block formats by type.</summary>
internal static class BlockFormats
{
    private static readonly BlockFormat[] Known = [];

    /// <summary>Every known format, in the order of the type numbers.</summary>
    public static IReadOnlyList<BlockFormat> All => Known;

    /// <summary>Finds the format of a type.</summary>
    public static bool TryGet(TensorType type, [NotNullWhen(true)] out BlockFormat? format)
    {
        format = Array.Find(Known, f => f.Type == type);
        return format is not null;
    }
}
