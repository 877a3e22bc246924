namespace Tare.Graphs.Weights;

/// <summary>The maps I − a uᵀ that norm rewrites put on the residual stream.</summary>
public enum RankOneKind
{
    /// <summary>I − 11ᵀ/d: takes the mean away.</summary>
    Center,

    /// <summary>I − 2vvᵀ/(vᵀv) with v = 1/√d − e_d: orthogonal; turns the all-ones direction into the last coordinate.</summary>
    Householder,

    /// <summary>I − e_j 1ᵀ: sets coordinate j to x_j − Σx, so W(I − e_j 1ᵀ) has the columns W_c − W_j. On zero-mean rows it gives what W gives, without reading coordinate j.</summary>
    Difference,
}

/// <summary>I − a uᵀ on rows of <paramref name="Width"/>; symmetric but for <see cref="RankOneKind.Difference"/>.</summary>
/// <param name="Kind">Which map.</param>
/// <param name="Width">d.</param>
/// <param name="Index">j of a difference.</param>
public readonly record struct RankOneMap(RankOneKind Kind, int Width, int Index = 0)
{
    /// <summary>Element i of a.</summary>
    public double A(int i) => Kind switch
    {
        RankOneKind.Center => 1,
        RankOneKind.Householder => V(i),
        _ => i == Index ? 1 : 0,
    };

    /// <summary>Element i of u.</summary>
    public double U(int i) => Kind switch
    {
        RankOneKind.Center => 1.0 / Width,
        RankOneKind.Householder => V(i) / (1 - 1 / Math.Sqrt(Width)), // vᵀv = 2 − 2/√d
        _ => 1,
    };

    /// <inheritdoc/>
    public override string ToString() => Kind == RankOneKind.Difference ? $"Difference{Index}" : $"{Kind}";

    private double V(int i) => 1 / Math.Sqrt(Width) - (i == Width - 1 ? 1 : 0);
}
