using Tare.Execution.Edits;
using Tare.Rewrites;

namespace Tare.Capture.Editing;

/// <summary>
/// Edits of a model whose norms were rewritten, given in the coordinates of its file. What is linear in the stream goes over; what needs the mean or the length of a row, which the rewritten stream no longer has, is
/// refused with the reason.
/// </summary>
internal static class MappedEdits
{
    private static readonly string[] StreamSites = ["hook_embed", "hook_pos_embed", "hook_token_type_embed", "hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_attn_out", "hook_mlp_out", "attn.hook_out", "mlp.hook_out"];

    /// <summary>Elements of a row of a site in the file's coordinates.</summary>
    public static int SourceWidth(StreamCoordinates coordinates, Site site) => IsStream(coordinates, site) ? coordinates.SourceWidth : site.Width;

    /// <summary>Throws <see cref="EditException"/> for a site whose values are others since the norms were rewritten.</summary>
    public static void Check(StreamCoordinates coordinates, Site site, EditAction action)
    {
        if (!IsStream(coordinates, site) && !coordinates.IsRaw && Differs(coordinates, site)) throw Refused(coordinates, site, action, "what this site gives is not what it gave before the norms were rewritten");
    }

    /// <summary>An operation on the site, in the coordinates of the graph that runs. Throws <see cref="EditException"/>.</summary>
    public static EditOperation Map(StreamCoordinates coordinates, Site site, EditAction action, EditOperation operation)
    {
        if (!IsStream(coordinates, site)) return operation;
        int width = coordinates.SourceWidth;
        if (operation.Columns is not [{ First: 0 } all] || all.Count != width) throw Refused(coordinates, site, action, "single channels of the file are no channels of the rewritten stream");
        if (operation.Kind is EditKind.AddMatched or EditKind.AddNormPreserving) throw Refused(coordinates, site, action, "it needs the length of the row in the file's coordinates, and the mean that counts in it is gone");
        var mapped = operation with { Columns = [new ColumnRange(0, coordinates.Width)] };
        if (!operation.Vector.IsEmpty) mapped = mapped with { Vector = [.. Enumerable.Range(0, operation.Vector.Length / width).SelectMany(i => coordinates.Vector(operation.Vector.AsSpan(i * width, width)))] };
        if (operation.Kind is not (EditKind.ProjectOut or EditKind.Clamp)) return mapped;
        var direction = operation.Direction.IsEmpty ? operation.Vector : operation.Direction;
        double sum = direction.Sum(), length = Math.Sqrt(direction.Sum(x => x * x));
        if (coordinates.LostMean && Math.Abs(sum) > 1e-6 * length * Math.Sqrt(width)) throw Refused(coordinates, site, action, $"the direction has a mean of {sum / width:G3}, and how much of the row lies along that is gone; subtract the mean from the direction");
        return mapped with { Direction = [.. coordinates.Direction(direction.AsSpan())] };
    }

    private static EditException Refused(StreamCoordinates coordinates, Site site, EditAction action, string reason) => new($"{action} at {site.Name}: the stream runs in other coordinates than the file's ({coordinates.Name}): {reason}");

    private static bool IsStream(StreamCoordinates coordinates, Site site)
        => !coordinates.IsRaw && site.Width == coordinates.Width && StreamSites.Any(s => site.Name == s || (site.Block >= 0 && site.Name == SiteNames.In(site.Block, s)));

    private static bool Differs(StreamCoordinates coordinates, Site site)
    {
        bool norm = site.Name.Split('.') is [.., var part, _] && part.StartsWith("ln", StringComparison.Ordinal), projection = site.Name.Contains("hook_q", StringComparison.Ordinal) || site.Name.Contains("hook_k", StringComparison.Ordinal) || site.Name.Contains("hook_rot_", StringComparison.Ordinal);
        return (norm && (coordinates.ChangedNorms || site.Name.EndsWith("hook_in", StringComparison.Ordinal))) || (projection && coordinates.ChangedQueriesAndKeys);
    }
}
