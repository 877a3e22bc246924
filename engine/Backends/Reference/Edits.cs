using Tare.Execution.Edits;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Backends.Reference;

/// <summary>Edits of rows by the edit table.</summary>
internal static class Edits
{
    public static void Apply(Edit op, ValueInfo[] types, double[][] x, double[][] y, ReferenceStep step)
    {
        x[0].CopyTo(y[0], 0);
        int width = types[0].Width;
        for (int i = 0; i < y[0].Length / width; i++)
        {
            int row = types[0].Rows == RowAxis.OutputRows ? step.OutputRows[i] : i;
            if (step.Slots[row] is not { Edit: > 0 and int slot } slots) continue;
            foreach (var operation in step.Edits![slot]!.Operations)
                if (operation.Site == op.Site && (slots.EditRows >> operation.Selection & 1) != 0) Apply(operation, y[0].AsSpan(i * width, width), step.PositionOf[row]);
        }
    }

    private static void Apply(EditOperation operation, Span<double> row, int position)
    {
        ReadOnlySpan<double> vector = operation.Vector.AsSpan();
        if (!operation.Positions.IsEmpty)
        {
            int at = operation.Positions.AsSpan().BinarySearch(position);
            if (at < 0) return;
            vector = vector.Slice(at * operation.Width, operation.Width);
        }
        var x = new double[operation.Width];
        int next = 0;
        foreach (var range in operation.Columns)
        {
            row.Slice(range.First, range.Count).CopyTo(x.AsSpan(next));
            next += range.Count;
        }
        Change(operation, x, vector);
        next = 0;
        foreach (var range in operation.Columns)
        {
            x.AsSpan(next, range.Count).CopyTo(row[range.First..]);
            next += range.Count;
        }
    }

    private static void Change(EditOperation operation, double[] x, ReadOnlySpan<double> v)
    {
        double s = operation.Strength, length = Math.Sqrt(Dot(x, x));
        switch (operation.Kind)
        {
            case EditKind.Replace:
                for (int i = 0; i < x.Length; i++)
                {
                    double target = v.IsEmpty ? 0 : v[i];
                    x[i] = s.Equals(1.0) ? target : x[i] + s * (target - x[i]);
                }
                break;
            case EditKind.Scale:
                for (int i = 0; i < x.Length; i++) x[i] *= s;
                break;
            case EditKind.Add:
                Add(x, s, v);
                break;
            case EditKind.AddMatched:
                Add(x, s * length, v);
                break;
            case EditKind.AddNormPreserving:
                Add(x, s, v);
                double changed = Math.Sqrt(Dot(x, x));
                for (int i = 0; i < x.Length && changed > 0; i++) x[i] *= length / changed;
                break;
            default:
                double along = Dot(x, operation.Direction.IsEmpty ? v : operation.Direction.AsSpan());
                if (operation.Kind == EditKind.ProjectOut) Add(x, -s * along, v);
                else if (along < operation.Minimum) Add(x, s * (operation.Minimum - along), v);
                else if (along > operation.Maximum) Add(x, s * (operation.Maximum - along), v);
                break;
        }
    }

    private static void Add(double[] x, double factor, ReadOnlySpan<double> v)
    {
        for (int i = 0; i < x.Length; i++) x[i] += factor * v[i];
    }

    private static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }
}
