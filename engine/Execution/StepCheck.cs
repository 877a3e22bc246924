using System.Collections.Immutable;
using Tare.Execution.Edits;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Execution;

/// <summary>Checks a step against a program before anything runs, so that backends can trust it.</summary>
internal static class StepCheck
{
    /// <summary>Throws <see cref="ArgumentException"/> naming the field at fault. Returns the state that holds the caches and the one with the edit table, or null.</summary>
    public static (IState? Caches, IState? Edits) Check(in Step step, ProgramSignature signature, ReadOnlySpan<IState> states, bool needsTokens, int residualWidth, int adapters, ImmutableArray<EditedValue> edits)
    {
        var limits = signature.Limits;
        if (step.Sequences.IsEmpty) throw new ArgumentException("the step has no sequences");
        if (step.Sequences.Length > limits.MaxSequences) throw new ArgumentException($"{step.Sequences.Length} sequences; the program takes {limits.MaxSequences}");
        int rows = 0;
        for (int s = 0; s < step.Sequences.Length; s++)
        {
            var sequence = step.Sequences[s];
            if (sequence.FirstRow != rows || sequence.Rows <= 0 || sequence.FirstPosition < 0 || sequence.Length - sequence.FirstPosition < sequence.Rows)
                throw new ArgumentException($"sequence {s} ({sequence}) does not continue at row {rows}, is empty, or is longer than its Length");
            for (int other = 0; other < s; other++)
                if (step.Sequences[other].Slot == sequence.Slot) throw new ArgumentException($"slot {sequence.Slot} occurs twice");
            rows = checked(rows + sequence.Rows);
        }
        if (rows > limits.MaxRows) throw new ArgumentException($"{rows} rows; the program takes {limits.MaxRows}");
        if (needsTokens && step.Tokens.Length != rows) throw new ArgumentException($"{step.Tokens.Length} tokens for {rows} rows");
        if (residualWidth > 0 && step.Residual.Length != (long)rows * residualWidth) throw new ArgumentException($"{step.Residual.Length} residual elements for {rows} rows of {residualWidth}");
        if (step.OutputRows.Length > limits.MaxOutputRows) throw new ArgumentException($"{step.OutputRows.Length} output rows; the program takes {limits.MaxOutputRows}");
        for (int i = 0; i < step.OutputRows.Length; i++)
            if (step.OutputRows[i] < 0 || step.OutputRows[i] >= rows || (i > 0 && step.OutputRows[i] <= step.OutputRows[i - 1])) throw new ArgumentException($"output row {step.OutputRows[i]} is outside of {rows} rows or not ascending");
        if (!step.Slots.IsEmpty && step.Slots.Length != rows) throw new ArgumentException($"{step.Slots.Length} row slots for {rows} rows");
        foreach (var slot in step.Slots)
            if (slot.Adapter < 0 || slot.Adapter > adapters) throw new ArgumentException($"adapter slot {slot.Adapter}; the program has {adapters}");
        var table = CheckEdits(step, states, edits);
        return (signature.Kv.Groups.IsEmpty ? null : CheckPages(step, signature, states), table);
    }

    // Slots that name an edit must find it: an edit that silently does nothing is worse than an error.
    private static IState? CheckEdits(in Step step, ReadOnlySpan<IState> states, ImmutableArray<EditedValue> edits)
    {
        IState? found = null;
        foreach (var state in states)
            if (state.Edits is not null) found = found is null ? state : throw new ArgumentException("two states with an edit table");
        if (found is not null)
            foreach (var edit in edits)
                if (edit.Site >= found.Edits!.Layout.Widths.Length || found.Edits.Layout.Widths[edit.Site] != edit.Width) throw new ArgumentException($"{edit.Label}: the edit table has no column {edit.Site} of {edit.Width} elements");
        int last = 0;
        foreach (var slot in step.Slots)
        {
            if (slot.Edit == last || slot.Edit == 0) continue;
            last = slot.Edit;
            if (edits.IsEmpty) throw new ArgumentException($"edit slot {slot.Edit}; the program has no edits");
            if (found is null) throw new ArgumentException($"edit slot {slot.Edit}; no state holds an edit table");
            if ((uint)slot.Edit >= (uint)found.Edits!.Layout.Slots || found.Edits[slot.Edit] is not { } entry) throw new ArgumentException($"edit slot {slot.Edit} was not written");
            foreach (var operation in entry.Operations)
                if (!Has(edits, operation.Site)) throw new ArgumentException($"edit slot {slot.Edit} changes site {operation.Site}, which the program does not edit");
        }
        return edits.IsEmpty ? null : found;
    }

    private static bool Has(ImmutableArray<EditedValue> edits, int site)
    {
        foreach (var edit in edits)
            if (edit.Site == site) return true;
        return false;
    }

    private static IState CheckPages(in Step step, ProgramSignature signature, ReadOnlySpan<IState> states)
    {
        IState? caches = null;
        foreach (var state in states)
            if (!state.Layout.Kv.Groups.IsEmpty) caches = caches is null ? state : throw new ArgumentException("the program needs one state with caches, two given");
        if (caches is null) throw new ArgumentException("the program needs a state with caches, none given");
        var layout = caches.Layout;
        int groups = layout.Kv.Groups.Length;
        if (step.PageStarts.Length != step.Sequences.Length * groups + 1) throw new ArgumentException($"{step.PageStarts.Length} page starts for {step.Sequences.Length} sequences × {groups} groups");
        if (step.PageStarts[0] != 0 || step.PageStarts[^1] != step.Pages.Length) throw new ArgumentException("page starts don't cover the pages");
        for (int i = 1; i < step.PageStarts.Length; i++)
            if (step.PageStarts[i] < step.PageStarts[i - 1]) throw new ArgumentException("page starts descend");
        foreach (var needed in signature.Kv.Groups)
        {
            int g = layout.Kv.Find(needed.Layers[0]).Group;
            var group = layout.Kv.Groups[g];
            if (group.Shape != needed.Shape) throw new ArgumentException($"the state's cache of layer {needed.Layers[0]} has another shape: {group.Shape}, the program needs {needed.Shape}");
            for (int s = 0; s < step.Sequences.Length; s++)
            {
                var sequence = step.Sequences[s];
                int start = step.PageStarts[s * groups + g], end = step.PageStarts[s * groups + g + 1];
                int last = sequence.FirstPosition + sequence.Rows - 1, first = group.Window is int window ? Math.Max(0, sequence.FirstPosition - window + 1) : 0;
                if ((long)(end - start) * KvLayout.PageTokens <= last) throw new ArgumentException($"sequence {s} has {end - start} pages in group {g}, position {last} needs more");
                for (int p = first / KvLayout.PageTokens; p <= last / KvLayout.PageTokens; p++)
                    if ((uint)step.Pages[start + p] >= (uint)layout.PagesPerGroup[g]) throw new ArgumentException($"page {step.Pages[start + p]} of sequence {s}, group {g} is not one of {layout.PagesPerGroup[g]}");
            }
        }
        return caches;
    }
}

/// <summary>A value that a program edits.</summary>
internal readonly record struct EditedValue(int Site, int Width, string Label)
{
    /// <summary>All of a graph without fused ops.</summary>
    public static ImmutableArray<EditedValue> Of(Graph graph) => [.. graph.Nodes.Where(n => n.Op is Edit).Select(n => new EditedValue(((Edit)n.Op).Site, n.Outputs[0].Width, ((Edit)n.Op).Label)).Distinct()];
}
