namespace Tare.Graphs;

/// <summary>Pointwise functions.</summary>
public enum ActivationKind
{
    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>max(x, 0)².</summary>
    ReluSquared,

    /// <summary>x / (1 + e^−x).</summary>
    Silu,

    /// <summary>x · Φ(x), the erf form.</summary>
    GeluErf,

    /// <summary>½x(1 + tanh(√(2/π)(x + 0.044715x³))).</summary>
    GeluTanh,

    /// <summary>x · σ(1.702x).</summary>
    GeluQuick,

    /// <summary>1 / (1 + e^−x).</summary>
    Sigmoid,

    /// <summary>tanh x.</summary>
    Tanh,
}
