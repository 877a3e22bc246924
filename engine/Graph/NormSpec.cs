namespace Tare.Graphs;

/// <summary>The kind of a norm.</summary>
public enum NormKind
{
    /// <summary>y = (x − mean) / √(var + ε) · gain + bias (Ba et al. 2016, arXiv 1607.06450).</summary>
    LayerNorm,

    /// <summary>y = x / √(mean x² + ε) · gain (Zhang and Sennrich 2019, arXiv 1910.07467).</summary>
    RmsNorm,

    /// <summary>y = (x − mean, if centered) / √ε · gain + bias: what a norm becomes when ε outweighs any variance (LN-free checkpoints).</summary>
    Static,

    /// <summary>
    /// y = c / √((Σc² + (Σc)²) / d + ε): RMSNorm of a zero-mean row of d elements that is stored without one of them, −Σc (Jiang et al. 2023, arXiv 2305.14858). No gain, no bias.
    /// </summary>
    CompressedRmsNorm,

    /// <summary>y = z / √(Σz² / d + ε): RMSNorm of a zero-mean row of d elements stored as the d − 1 coordinates in a basis of the zero-mean rows (a Householder reflection). No gain, no bias.</summary>
    IsometricCompressedRmsNorm,

    /// <summary>y = x / max(‖x‖, ε) · gain + bias: ScaleNorm (Nguyen and Salazar 2019, arXiv 1910.05895) with one gain, the L2 form of a QK norm without.</summary>
    UnitLength,

    /// <summary>y = gain · tanh(α x) + bias with one α (DyT: Zhu et al. 2025, arXiv 2503.10622).</summary>
    DynamicTanh,

    /// <summary>
    /// y = gain · tanh((λ/κ) x / √(mean x² + ε)) + bias with one λ (BHyT, arXiv 2601.09719). With a second input the mean square is that one's, plus a constant: the form that spares a block its second reduction.
    /// </summary>
    BoundedTanh,

    /// <summary>y = (gain + α tanh(x·β)) · x / √(mean x² + ε) (SeeDNorm, arXiv 2510.22777).</summary>
    DynamicGain,
}

/// <summary>What a norm does to each group of a row.</summary>
/// <param name="Kind">The formula.</param>
/// <param name="Epsilon">Inside the root.</param>
/// <param name="GainOffset">0, or 1 where the stored gain is w of (1 + w).</param>
/// <param name="Groups">Equal parts of the row that are normalized separately (heads of a QK norm); 1 = the whole row.</param>
/// <param name="Center">Static norms only: subtract the mean first.</param>
public sealed record NormSpec(NormKind Kind, double Epsilon, int GainOffset = 0, int Groups = 1, bool Center = false)
{
    /// <summary>d of a compressed norm, whose row is stored in fewer coordinates; 0 for the other kinds.</summary>
    public int FullWidth { get; init; }

    /// <summary>Factor on the normalized row, before the bias (LayerNorm Scaling, arXiv 2502.05795, has 1/√layer).</summary>
    public double OutputScale { get; init; } = 1;

    /// <summary>κ of <see cref="NormKind.BoundedTanh"/>; 0 for the other kinds.</summary>
    public double Bound { get; init; }

    /// <summary>Whether the mean is taken away first.</summary>
    public bool SubtractsMean => Kind == NormKind.LayerNorm || Center;

    /// <summary>Whether the kind stores rows in fewer coordinates than they have.</summary>
    public bool IsCompressed => Kind is NormKind.CompressedRmsNorm or NormKind.IsometricCompressedRmsNorm;

    /// <summary>From this ε on a norm is static: its denominator is √ε for every row.</summary>
    public const double StaticEpsilon = 1e6;

    /// <summary>LayerNorm, or the static norm that an ε of 10⁶ and more means.</summary>
    public static NormSpec LayerNorm(double epsilon, int groups = 1)
        => epsilon >= StaticEpsilon ? new(NormKind.Static, epsilon, Groups: groups, Center: true) : new(NormKind.LayerNorm, epsilon, Groups: groups);

    /// <summary>RMSNorm, or the static norm that an ε of 10⁶ and more means.</summary>
    public static NormSpec RmsNorm(double epsilon, int gainOffset = 0, int groups = 1)
        => epsilon >= StaticEpsilon ? new(NormKind.Static, epsilon, gainOffset, groups) : new(NormKind.RmsNorm, epsilon, gainOffset, groups);
}
