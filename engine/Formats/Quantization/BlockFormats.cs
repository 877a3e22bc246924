using System.Diagnostics.CodeAnalysis;

namespace Tare.Formats.Quantization;

/// <summary>All block formats by type.</summary>
internal static class BlockFormats
{
    private static readonly BlockFormat[] Known =
    [
        .. new BlockFormat[]
        {
            new F32(), new F16(), new BF16(),
            new BlockFormat<Q4_0>(), new BlockFormat<Q4_1>(), new BlockFormat<Q5_0>(), new BlockFormat<Q5_1>(), new BlockFormat<Q8_0>(),
            new BlockFormat<TQ1_0>(), new BlockFormat<TQ2_0>(), new BlockFormat<MXFP4>(), new BlockFormat<NVFP4>(), new BlockFormat<IQ4_NL>(), new BlockFormat<IQ4_XS>(),
            new BlockFormat<IQ1_S>(), new BlockFormat<IQ1_M>(), new BlockFormat<IQ2_XXS>(), new BlockFormat<IQ2_XS>(), new BlockFormat<IQ2_S>(), new BlockFormat<IQ3_XXS>(), new BlockFormat<IQ3_S>(),
            new BlockFormat<Q2_K>(), new BlockFormat<Q3_K>(), new BlockFormat<Q4_K>(), new BlockFormat<Q5_K>(), new BlockFormat<Q6_K>(),
        }.Concat(ElementFormat.All).OrderBy(f => f.Type),
    ];

    private static readonly Dictionary<TensorType, BlockFormat> ByType = Known.ToDictionary(f => f.Type);

    /// <summary>Every known format, in the order of the type numbers.</summary>
    public static IReadOnlyList<BlockFormat> All => Known;

    /// <summary>Finds the format of a type.</summary>
    public static bool TryGet(TensorType type, [NotNullWhen(true)] out BlockFormat? format) => ByType.TryGetValue(type, out format);
}
