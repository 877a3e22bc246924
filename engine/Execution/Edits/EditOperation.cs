using System.Collections.Immutable;

namespace Tare.Execution.Edits;

/// <summary>What an operation makes of the columns x that it is about (all of a row, a head, some channels); s is its strength, v its vector, r its direction.</summary>
public enum EditKind
{
    /// <summary>x + s (v − x); v itself for s = 1. Without a vector v = 0.</summary>
    Replace,

    /// <summary>s x.</summary>
    Scale,

    /// <summary>x + s v.</summary>
    Add,

    /// <summary>x + s ‖x‖ v: with ‖v‖ = 1, s is the length of what is added in lengths of x.</summary>
    AddMatched,

    /// <summary>x + s v, brought back to the length of x.</summary>
    AddNormPreserving,

    /// <summary>x − s (r·x) v: with r = v and ‖v‖ = 1, s = 1 takes the direction out.</summary>
    ProjectOut,

    /// <summary>x + s (clamp(r·x, minimum, maximum) − r·x) v; x itself where r·x lies within.</summary>
    Clamp,
}

/// <summary>Consecutive columns of a row.</summary>
public readonly record struct ColumnRange(int First, int Count);

/// <summary>One change of rows at one site. Operations of a site run in the order of their entry, each on what the one before left.</summary>
/// <param name="Site">Column of the edit table.</param>
/// <param name="Kind">What is done.</param>
/// <param name="Columns">The columns that it is about, taken as one vector x; ascending, not empty.</param>
public sealed record EditOperation(int Site, EditKind Kind, ImmutableArray<ColumnRange> Columns)
{
    /// <summary>Index of the row selection in the entry.</summary>
    public int Selection { get; init; }

    /// <summary>s. 0 does nothing (1 for <see cref="EditKind.Scale"/>).</summary>
    public double Strength { get; init; } = 1;

    /// <summary>v [width], or [positions, width] with <see cref="Positions"/>; empty = none. The width is that of all columns.</summary>
    public ImmutableArray<double> Vector { get; init; } = [];

    /// <summary>r [width]; empty = v.</summary>
    public ImmutableArray<double> Direction { get; init; } = [];

    /// <summary>Positions whose rows <see cref="Vector"/> holds, ascending: a row at another position stays. Empty = one vector for all.</summary>
    public ImmutableArray<int> Positions { get; init; } = [];

    /// <summary>Lower end of <see cref="EditKind.Clamp"/>.</summary>
    public double Minimum { get; init; } = double.NegativeInfinity;

    /// <summary>Upper end of <see cref="EditKind.Clamp"/>.</summary>
    public double Maximum { get; init; } = double.PositiveInfinity;

    /// <summary>Elements of x.</summary>
    public int Width => Columns.Sum(c => c.Count);

    /// <summary>Whether it can change nothing, whatever the row: by a strength that is 0 (of <see cref="EditKind.Scale"/> 1) in F32.</summary>
    public bool IsIdle => (float)Strength is var s && (Kind == EditKind.Scale ? s is 1f : s is 0f);

    /// <summary>Throws <see cref="ArgumentException"/> for a row of <paramref name="rowWidth"/> elements that it does not fit.</summary>
    internal void Check(int rowWidth, int selections)
    {
        if (Columns.IsDefaultOrEmpty) throw new ArgumentException("the edit is about no column");
        int next = 0;
        foreach (var range in Columns)
        {
            if (range.First < next || range.Count < 1 || range.Count > rowWidth - range.First) throw new ArgumentException($"columns {range.First}…{range.First + (long)range.Count - 1} of {rowWidth} are outside, empty or not ascending");
            next = range.First + range.Count;
        }
        if (Selection < 0 || Selection >= selections) throw new ArgumentException($"row selection {Selection} of {selections}");
        int vectors = Positions.IsEmpty ? 1 : Positions.Length;
        if (Vector.Length != (long)vectors * Width && !(Vector.IsEmpty && Kind is EditKind.Replace or EditKind.Scale)) throw new ArgumentException($"the vector has {Vector.Length} elements, {vectors} × {Width} are needed");
        if (!Direction.IsEmpty && Direction.Length != Width) throw new ArgumentException($"the direction has {Direction.Length} elements, {Width} are needed");
        if (!Positions.IsEmpty && Kind != EditKind.Replace) throw new ArgumentException($"{Kind} takes one vector for all positions");
        for (int i = 1; i < Positions.Length; i++)
            if (Positions[i] <= Positions[i - 1]) throw new ArgumentException($"position {Positions[i]} does not ascend");
        if (!double.IsFinite(Strength) || double.IsNaN(Minimum) || double.IsNaN(Maximum) || Minimum > Maximum) throw new ArgumentException($"strength {Strength}, bounds {Minimum} … {Maximum}");
        foreach (double v in Vector)
            if (!double.IsFinite((float)v)) throw new ArgumentException($"the vector holds {v}");
        foreach (double v in Direction)
            if (!double.IsFinite((float)v)) throw new ArgumentException($"the direction holds {v}");
    }
}
