using System.Runtime.Intrinsics;
using Tare.Backends.Cpu.Numerics;
using Tare.Execution.Edits;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Cpu.Kernels;

/// <summary>Edits of rows by the edit table: [rows, width] → the same. Rows of slot 0 are copied; the others are changed in their copy, operation by operation.</summary>
/// <remarks>Products run over each range of columns as <see cref="Products.Dot"/> does, ranges one after the other: what a row becomes depends on nothing but the row and its slot.</remarks>
internal sealed unsafe class EditFunction(Edit op, int width, RowAxis rows) : RowFunction
{
    public override void Run(CpuStep step, int row, int count, RowBlock* x, RowBlock* y, byte* scratch)
    {
        for (int r = 0; r < count; r++)
        {
            new ReadOnlySpan<float>(x[0][r], width).CopyTo(new Span<float>(y[0][r], width));
            int at = rows == RowAxis.OutputRows ? step.OutputRows[row + r] : row + r;
            if (!step.HasEdits || step.EditOf[at] == 0 || step.Edits!.Operations(step.EditOf[at], op.Site) is not { } operations) continue;
            foreach (var operation in operations)
                if ((step.EditRows[at] & operation.Rows) != 0) Apply(operation, y[0][r], step.Positions[at]);
        }
    }

    private static void Apply(CpuEdit edit, float* row, int position)
    {
        float* vector = edit.Vector;
        if (edit.Positions is { } positions)
        {
            int found = Array.BinarySearch(positions, position);
            if (found < 0) return;
            vector += (long)found * edit.Width;
        }
        float strength = edit.Strength;
        switch (edit.Kind)
        {
            case EditKind.Replace:
                Replace(edit, row, vector);
                break;
            case EditKind.Scale:
                Multiply(edit, row, strength);
                break;
            case EditKind.Add:
                Add(edit, row, strength, vector);
                break;
            case EditKind.AddMatched:
                Add(edit, row, strength * Length(edit, row), vector);
                break;
            case EditKind.AddNormPreserving:
                float before = Length(edit, row);
                Add(edit, row, strength, vector);
                float after = Length(edit, row);
                if (after > 0) Multiply(edit, row, before / after);
                break;
            case EditKind.ProjectOut:
                Add(edit, row, -strength * Dot(edit, row, edit.Direction), vector);
                break;
            case EditKind.Clamp:
                float along = Dot(edit, row, edit.Direction);
                if (along < edit.Minimum) Add(edit, row, strength * (edit.Minimum - along), vector);
                else if (along > edit.Maximum) Add(edit, row, strength * (edit.Maximum - along), vector);
                break;
        }
    }

    private static void Replace(CpuEdit edit, float* row, float* vector)
    {
        foreach (var range in edit.Columns)
        {
            float* x = row + range.First;
            if (edit.Strength.Equals(1f))
            {
                if (vector is null) new Span<float>(x, range.Count).Clear();
                else new ReadOnlySpan<float>(vector, range.Count).CopyTo(new Span<float>(x, range.Count));
            }
            else
                for (int i = 0; i < range.Count; i += Lanes.Count)
                {
                    int left = range.Count - i;
                    var old = Lanes.Load(x + i, left);
                    var target = vector is null ? default : Lanes.Load(vector + i, left);
                    Lanes.Store(Vector512.FusedMultiplyAdd(Vector512.Create(edit.Strength), target - old, old), x + i, left);
                }
            if (vector is not null) vector += range.Count;
        }
    }

    private static void Multiply(CpuEdit edit, float* row, float factor)
    {
        foreach (var range in edit.Columns)
            for (int i = 0; i < range.Count; i += Lanes.Count)
            {
                float* x = row + range.First + i;
                Lanes.Store(Lanes.Load(x, range.Count - i) * factor, x, range.Count - i);
            }
    }

    // A factor that is zero (a strength too small for F32, a product of zero) leaves the bits, −0 included.
    private static void Add(CpuEdit edit, float* row, float factor, float* vector)
    {
        if (factor.Equals(0f)) return;
        foreach (var range in edit.Columns)
        {
            for (int i = 0; i < range.Count; i += Lanes.Count)
            {
                float* x = row + range.First + i;
                Lanes.Store(Vector512.FusedMultiplyAdd(Vector512.Create(factor), Lanes.Load(vector + i, range.Count - i), Lanes.Load(x, range.Count - i)), x, range.Count - i);
            }
            vector += range.Count;
        }
    }

    private static float Length(CpuEdit edit, float* row)
    {
        float sum = 0;
        foreach (var range in edit.Columns) sum += Products.Dot(row + range.First, row + range.First, range.Count);
        return MathF.Sqrt(sum);
    }

    private static float Dot(CpuEdit edit, float* row, float* direction)
    {
        float sum = 0;
        foreach (var range in edit.Columns)
        {
            sum += Products.Dot(row + range.First, direction, range.Count);
            direction += range.Count;
        }
        return sum;
    }
}
