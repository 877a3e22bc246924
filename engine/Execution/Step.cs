namespace Tare.Execution;

/// <summary>What the rows of a sequence are in a step.</summary>
public enum Phase
{
    /// <summary>Known tokens that are read in.</summary>
    Prompt,

    /// <summary>A token that was just generated.</summary>
    Generated,

    /// <summary>Guessed tokens that are being verified.</summary>
    Draft,
}

/// <summary>The rows of one sequence in a step: consecutive rows, consecutive positions.</summary>
/// <param name="Slot">The caller's name for the sequence; unique within a step.</param>
/// <param name="FirstRow">Its first row in the step.</param>
/// <param name="Rows">How many.</param>
/// <param name="FirstPosition">Absolute position of the first row.</param>
/// <param name="Phase">What the rows are.</param>
/// <param name="Length">Tokens of the sequence as known now, ≥ FirstPosition + Rows: the whole prompt while it is read in chunks. Only length-dependent RoPE looks at it.</param>
public readonly record struct SequenceRows(int Slot, int FirstRow, int Rows, int FirstPosition, Phase Phase, int Length);

/// <summary>What a row selects in tables that requests share.</summary>
/// <param name="Adapter">0 = none, i + 1 = entry i of the Linears' adapters.</param>
/// <param name="Edit">0 = untouched, else a written slot of the state's edit table.</param>
/// <param name="EditRows">Which row selections of that slot's entry contain the row (<see cref="Edits.EditEntry.Rows"/>); 0 = untouched.</param>
public readonly record struct RowSlots(int Adapter, int Edit = 0, ulong EditRows = 0);

/// <summary>One step of a program: data only. A program copies what it needs before Enqueue returns.</summary>
public readonly ref struct Step
{
    /// <summary>The sequences, covering all rows in order.</summary>
    public ReadOnlySpan<SequenceRows> Sequences { get; init; }

    /// <summary>Token ids [Rows]; empty where the graph has no Tokens input.</summary>
    public ReadOnlySpan<int> Tokens { get; init; }

    /// <summary>Residual stream [Rows, width] for graphs that start from one.</summary>
    public ReadOnlySpan<float> Residual { get; init; }

    /// <summary>Page tables: sequence s and KV group g own Pages[PageStarts[s · groups + g] … PageStarts[s · groups + g + 1]); entry i holds positions 32i … 32i + 31, −1 = freed behind the window.</summary>
    public ReadOnlySpan<int> Pages { get; init; }

    /// <summary>[sequences · groups + 1] offsets into <see cref="Pages"/>; empty where the graph has no cache.</summary>
    public ReadOnlySpan<int> PageStarts { get; init; }

    /// <summary>Rows whose logits are wanted, ascending.</summary>
    public ReadOnlySpan<int> OutputRows { get; init; }

    /// <summary>Table slots of each row [Rows]; empty = all zero.</summary>
    public ReadOnlySpan<RowSlots> Slots { get; init; }

    /// <summary>Number of rows.</summary>
    public int Rows => Sequences.IsEmpty ? 0 : Sequences[^1].FirstRow + Sequences[^1].Rows;
}
