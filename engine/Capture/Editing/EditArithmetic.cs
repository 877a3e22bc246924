using System.Collections.Immutable;
using Tare.Execution.Edits;

namespace Tare.Capture.Editing;

/// <summary>The operations of the edit table that an edit amounts to, for one set of columns of one site.</summary>
internal static class EditArithmetic
{
    public static IEnumerable<EditOperation> Operations(EditSpec spec, Site site, ImmutableArray<ColumnRange> columns, SiteVectors? vectors)
    {
        var plain = new EditOperation(0, EditKind.Replace, columns) { Strength = spec.Strength };
        if (vectors is null)
        {
            yield return spec.Action == EditAction.Zero ? plain : plain with { Kind = EditKind.Scale, Strength = 1 + spec.Strength * (spec.Factor - 1) };
            yield break;
        }
        double[][] values = Select(site, columns, vectors);
        if (spec.Action is EditAction.Mean or EditAction.Patch)
        {
            yield return plain with { Vector = [.. values.SelectMany(v => v)], Positions = vectors.Positions };
            yield break;
        }
        if (!vectors.Positions.IsEmpty) throw new EditException($"{spec.Action} at {site.Name} takes a vector, not the rows of a run");
        if (spec.Action == EditAction.ProjectOut)
        {
            foreach (double[] u in Basis(values, site)) yield return plain with { Kind = EditKind.ProjectOut, Vector = [.. u] };
            yield break;
        }
        if (values.Length != 1) throw new EditException($"{spec.Action} at {site.Name} takes one vector, {values.Length} are given");
        yield return spec.Action switch
        {
            EditAction.Add => plain with { Kind = EditKind.Add, Vector = [.. values[0]] },
            EditAction.AddNormPreserving => plain with { Kind = EditKind.AddNormPreserving, Vector = [.. values[0]] },
            EditAction.AddMatched => plain with { Kind = EditKind.AddMatched, Vector = [.. Unit(values[0], site)] },
            _ => plain with { Kind = EditKind.Clamp, Vector = [.. Unit(values[0], site)], Minimum = spec.Minimum, Maximum = spec.Maximum },
        };
    }

    // The selected columns of vectors that are as wide as a row, or the vectors themselves where they are as wide as the columns.
    private static double[][] Select(Site site, ImmutableArray<ColumnRange> columns, SiteVectors vectors)
    {
        int width = columns.Sum(c => c.Count);
        if (vectors.Count < 1 || vectors.Values.Length % vectors.Count != 0 || (vectors.Width != site.Width && vectors.Width != width))
            throw new EditException($"{site.Name}: a vector has {vectors.Width} elements, the {(width == site.Width ? "row" : "selected columns")} {width}");
        var result = new double[vectors.Count][];
        for (int i = 0; i < result.Length; i++)
        {
            var row = vectors.Values.AsSpan(i * vectors.Width, vectors.Width);
            result[i] = vectors.Width == width ? row.ToArray() : new double[width];
            int next = 0;
            foreach (var range in columns)
            {
                if (vectors.Width == width) break;
                row.Slice(range.First, range.Count).CopyTo(result[i].AsSpan(next));
                next += range.Count;
            }
            foreach (double value in result[i])
                if (!double.IsFinite((float)value)) throw new EditException($"{site.Name}: a vector holds {value}");
        }
        return result;
    }

    private static double[] Unit(double[] v, Site site)
    {
        double length = Math.Sqrt(v.Sum(x => x * x));
        return length > 0 ? Array.ConvertAll(v, x => x / length) : throw new EditException($"{site.Name}: the direction is zero");
    }

    // An orthonormal basis of what the vectors span, by Gram–Schmidt, twice for accuracy; what depends on the ones before is left out.
    private static List<double[]> Basis(double[][] vectors, Site site)
    {
        var basis = new List<double[]>();
        foreach (double[] vector in vectors)
        {
            double[] u = [.. vector];
            double length = Math.Sqrt(u.Sum(x => x * x));
            for (int pass = 0; pass < 2; pass++)
                foreach (double[] b in basis)
                {
                    double along = 0;
                    for (int i = 0; i < u.Length; i++) along += u[i] * b[i];
                    for (int i = 0; i < u.Length; i++) u[i] -= along * b[i];
                }
            if (length > 0 && Math.Sqrt(u.Sum(x => x * x)) > 1e-9 * length) basis.Add(Unit(u, site));
        }
        return basis.Count > 0 ? basis : throw new EditException($"{site.Name}: the directions are zero");
    }
}
