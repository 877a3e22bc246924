namespace Tare.Diagnostics;

/// <summary>One measurement of a norm.</summary>
/// <param name="Level">kernel, layer or model.</param>
/// <param name="Shape">The shape, or the width of the rows.</param>
/// <param name="Case">cache or memory; prefill or decode.</param>
/// <param name="Variant">A name of <see cref="NormVariants.Names"/>, <see cref="Control"/> (fused LayerNorm against itself), or <see cref="ScaleAndCopy"/>.</param>
/// <param name="AgainstFused">Against LayerNorm fused with the addition before it.</param>
/// <param name="AgainstNaive">Against LayerNorm in separate passes over all rows; null for control and copy.</param>
public sealed record NormBenchRow(string Level, string Shape, string Case, string Variant, PairedTime AgainstFused, PairedTime? AgainstNaive)
{
    /// <summary>The name of the control.</summary>
    public const string Control = "control (ln : ln)";

    /// <summary>Kernel level: y = 1.5 x by vectors with ordinary stores, as the norms have.</summary>
    public const string ScaleAndCopy = "scale-and-copy";

    /// <summary>Kernel level: bytes read and written once, by seconds; else null.</summary>
    public double? BytesPerSecond { get; init; }

    /// <summary>Kernel level: <see cref="BytesPerSecond"/> by that of the faster of a library copy and a scale-and-copy between the same arrays in the same run; in cache by that of a scale-and-copy.</summary>
    public double? CopyShare { get; init; }

    /// <summary>Layer and model level: part of the time that the norms take as kernels of their own, by profile of the unfused program; null for none.</summary>
    public double? NormShare { get; init; }
}
