using System.Collections.Immutable;
using Tare.Execution.Edits;

namespace Tare.Capture.Editing;

/// <summary>What an edit does.</summary>
public enum EditAction
{
    /// <summary>Zero: x + s (0 − x).</summary>
    Zero,

    /// <summary>Replace by a mean (mean ablation): x + s (mean − x).</summary>
    Mean,

    /// <summary>Replace by the row that another run had at the same position (activation patching): x + s (row − x).</summary>
    Patch,

    /// <summary>Multiply: x + s (f x − x) for the factor f.</summary>
    Scale,

    /// <summary>Add a vector: x + s v.</summary>
    Add,

    /// <summary>Add a direction, matched to the length of the row: x + s ‖x‖ v/‖v‖.</summary>
    AddMatched,

    /// <summary>Add a vector and keep the length of the row: (x + s v) · ‖x‖/‖x + s v‖.</summary>
    AddNormPreserving,

    /// <summary>Take directions out: x − s Σ (x·u) u over an orthonormal basis u of the given directions (directional ablation).</summary>
    ProjectOut,

    /// <summary>Hold the part along a direction u = v/‖v‖ within bounds: x + s (clamp(x·u, minimum, maximum) − x·u) u.</summary>
    Clamp,
}

/// <summary>One edit as a person asks for it: what, where, which rows, how strongly. Edits of one site run in the order in which they are given, each on what the one before left.</summary>
public sealed record EditSpec
{
    /// <summary>What is done.</summary>
    public required EditAction Action { get; init; }

    /// <summary>Where: a selector of sites, as captures take it (<see cref="SiteSelector"/>).</summary>
    public required string Sites { get; init; }

    /// <summary>s; 0 leaves every bit.</summary>
    public double Strength { get; init; } = 1;

    /// <summary>f of <see cref="EditAction.Scale"/>.</summary>
    public double Factor { get; init; } = 1;

    /// <summary>Where vectors come from, for all actions but <see cref="EditAction.Zero"/> and <see cref="EditAction.Scale"/>.</summary>
    public EditVectors? Vectors { get; init; }

    /// <summary>Lower bound of <see cref="EditAction.Clamp"/>.</summary>
    public double Minimum { get; init; } = double.NegativeInfinity;

    /// <summary>Upper bound of <see cref="EditAction.Clamp"/>.</summary>
    public double Maximum { get; init; } = double.PositiveInfinity;

    /// <summary>Of the selected sites only those in these blocks; empty = all.</summary>
    public ImmutableArray<int> Layers { get; init; } = [];

    /// <summary>Of a row only these heads, each as a vector of its own; empty = the whole row.</summary>
    public ImmutableArray<int> Heads { get; init; } = [];

    /// <summary>Of a row only these channels, together as one vector; empty = the whole row.</summary>
    public ImmutableArray<int> Channels { get; init; } = [];

    /// <summary>Which rows.</summary>
    public RowSelection Rows { get; init; } = RowSelection.All;

    /// <summary>Zero at the selected sites.</summary>
    public static EditSpec Zero(string sites) => new() { Action = EditAction.Zero, Sites = sites };

    /// <summary>Multiply by a factor.</summary>
    public static EditSpec Scale(string sites, double factor) => new() { Action = EditAction.Scale, Sites = sites, Factor = factor };

    /// <summary>Add <paramref name="strength"/> times a vector.</summary>
    public static EditSpec Add(string sites, EditVectors vectors, double strength = 1) => new() { Action = EditAction.Add, Sites = sites, Vectors = vectors, Strength = strength };

    /// <summary>Take directions out.</summary>
    public static EditSpec ProjectOut(string sites, EditVectors vectors) => new() { Action = EditAction.ProjectOut, Sites = sites, Vectors = vectors };

    /// <summary>Replace by means.</summary>
    public static EditSpec Mean(string sites, EditVectors means) => new() { Action = EditAction.Mean, Sites = sites, Vectors = means };

    /// <summary>Replace by the rows of another run.</summary>
    public static EditSpec Patch(string sites, ActivationCache from) => new() { Action = EditAction.Patch, Sites = sites, Vectors = new CachedRows(from) };
}
