namespace Tare.Graphs;

/// <summary>The symbolic first dimension of a value: the only sizes that change from step to step.</summary>
public enum RowAxis
{
    /// <summary>All tokens of the step, packed, never padded.</summary>
    Rows,

    /// <summary>The rows whose logits are wanted.</summary>
    OutputRows,

    /// <summary>One row a sequence of the step (pooled values).</summary>
    Sequences,
}

/// <summary>What one element of a value is.</summary>
public enum ElementType
{
    /// <summary>32-bit float (64-bit in the Reference backend).</summary>
    F32,

    /// <summary>32-bit integer: token ids, positions, expert ids.</summary>
    I32,

    /// <summary>A version of a layer's key/value cache; it has no elements that an op could read except through Attention.</summary>
    KvCache,
}

/// <summary>The type of a value: [Rows, Width] of Element.</summary>
public readonly record struct ValueInfo(RowAxis Rows, int Width, ElementType Element)
{
    /// <summary>[rows, width] of F32.</summary>
    public static ValueInfo F32(RowAxis rows, int width) => new(rows, width, ElementType.F32);

    /// <summary>[rows, width] of I32.</summary>
    public static ValueInfo I32(RowAxis rows, int width) => new(rows, width, ElementType.I32);

    /// <inheritdoc/>
    public override string ToString() => $"{Element}[{Rows},{Width}]";
}

/// <summary>One output of one node of a graph.</summary>
public readonly record struct Value(int Node, int Output = 0)
{
    /// <inheritdoc/>
    public override string ToString() => Output == 0 ? $"%{Node}" : $"%{Node}.{Output}";
}
