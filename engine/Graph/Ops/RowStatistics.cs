using System.Collections.Immutable;
using Tare.Graphs.Weights;

namespace Tare.Graphs.Ops;

/// <summary>
/// Sixteen numbers about each row x of a value, and about x beside a second row x₀ of the same width (the stream that x is added to, or the input of the norm that gave x); the words are those of
/// <see cref="RowRecord"/>.
/// </summary>
/// <param name="Probes">Up to two directions v [1 or 2, width]; the record holds v·x. Null = none.</param>
public sealed record RowStatistics(Weight? Probes = null) : Op
{
    /// <inheritdoc/>
    public override bool IsObservation => true;

    /// <inheritdoc/>
    public override IEnumerable<Weight> Weights => Probes is null ? [] : [Probes];

    /// <inheritdoc/>
    public override ImmutableArray<ValueInfo> Infer(ReadOnlySpan<ValueInfo> inputs)
    {
        Expect(inputs.Length is 1 or 2, $"takes 1 or 2 inputs, has {inputs.Length}");
        ExpectF32(inputs[0], "x");
        Expect(inputs.Length == 1 || inputs[1] == inputs[0], $"x is {inputs[0]}, x₀ is {inputs[^1]}");
        Expect(Probes is null || Probes.Rows is 1 or 2 && Probes.Width == inputs[0].Width, $"probes {Probes} are not 1 or 2 rows of {inputs[0].Width}");
        return [inputs[0] with { Width = RowRecord.Words }];
    }
}

/// <summary>The words of a record, each an F32. Means are over the d elements of the row. A row with elements that are no numbers says how many in <see cref="NonFinite"/>; its other words mean nothing.</summary>
public static class RowRecord
{
    /// <summary>Words of a record.</summary>
    public const int Words = 16;

    /// <summary>Σx / d.</summary>
    public const int Mean = 0;

    /// <summary>Σx² / d.</summary>
    public const int MeanSquare = 1;

    /// <summary>Σ(x − mean)² / d. Where mean² is more than a sixteenth of Σx²/d, this and the two moments that follow come from a second pass over the row; else from the sums of powers, which lose nothing there.</summary>
    public const int Moment2 = 2;

    /// <summary>Σ(x − mean)³ / d.</summary>
    public const int Moment3 = 3;

    /// <summary>Σ(x − mean)⁴ / d.</summary>
    public const int Moment4 = 4;

    /// <summary>Σ|x| / d.</summary>
    public const int MeanAbsolute = 5;

    /// <summary>Largest |x|.</summary>
    public const int Largest = 6;

    /// <summary>Its lowest index.</summary>
    public const int LargestIndex = 7;

    /// <summary>Σx² (0 without x₀).</summary>
    public const int Energy = 8;

    /// <summary>Σx₀x (0 without x₀).</summary>
    public const int Product = 9;

    /// <summary>Σx (0 without x₀).</summary>
    public const int Sum = 10;

    /// <summary>Σx₀² (0 without x₀).</summary>
    public const int PartnerEnergy = 11;

    /// <summary>Elements with |x| > 6 · √(Σx²/d).</summary>
    public const int Outliers = 12;

    /// <summary>Elements that are NaN or infinite.</summary>
    public const int NonFinite = 13;

    /// <summary>First probe · x (0 without).</summary>
    public const int Probe0 = 14;

    /// <summary>Second probe · x (0 without).</summary>
    public const int Probe1 = 15;

    /// <summary>An outlier is larger than this many root mean squares.</summary>
    public const int OutlierFactor = 6;
}
