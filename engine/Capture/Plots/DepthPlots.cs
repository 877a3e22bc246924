using System.Globalization;
using System.Text.RegularExpressions;
using Tare.Capture.Statistics;

namespace Tare.Capture.Plots;

/// <summary>Statistics by depth: a stream site of block i stands at i (pre), i + ½ (mid), i + 1 (post).</summary>
public static partial class DepthPlots
{
    /// <summary>Figures by file name: the stream, and what sublayers write; several models side by side.</summary>
    public static IReadOnlyDictionary<string, string> Draw(IReadOnlyList<(string Name, IReadOnlyList<SiteStatistics> Sites)> models, IReadOnlyList<int> groups)
    {
        string where = string.Join(", ", groups.Select(g => RowGroup.Names[g]));
        var figures = new Dictionary<string, string>();
        LineChart Stream(string title, RowFact fact, bool logarithmic = false) => new(title, [.. models.Select(m => new ChartLine(m.Name, [.. StreamOf(m.Sites).Select(s => (s.Depth, Mean(s.Site, fact, groups)))]))], logarithmic);
        LineChart Sublayer(string title, RowFact fact, bool logarithmic = false) => new(title, [.. models.SelectMany(m => new[] { "attn", "mlp" }.Select(which => new ChartLine($"{m.Name} {which}", [.. SublayerOf(m.Sites, which).Select(s => (s.Depth, Mean(s.Site, fact, groups)))])))], logarithmic);
        if (models.Any(m => StreamOf(m.Sites).Any()))
            figures["stream.svg"] = Figure.ToSvg($"Residual stream by depth (rows: {where})",
            [
                Stream("root mean square", RowFact.Rms, true), Stream("angle to the uniform vector, degrees", RowFact.AngleToUniformDeg), Stream("excess kurtosis over channels", RowFact.ExcessKurtosis, true),
                Stream("participation ratio, channels", RowFact.Participation, true), Stream("crest: largest |x| / rms", RowFact.Crest, true), Stream("mean over channels", RowFact.Mean),
            ]);
        if (models.Any(m => SublayerOf(m.Sites, "attn").Any() || SublayerOf(m.Sites, "mlp").Any()))
            figures["sublayers.svg"] = Figure.ToSvg($"What sublayers add, by depth (rows: {where})",
                [Sublayer("length / length of the stream", RowFact.NormRatioToStream, true), Sublayer("cosine with the stream before", RowFact.CosineWithStream), Sublayer("cosine of the stream before and after", RowFact.CosineOfStreamBeforeAfter)]);
        var heads = models.SelectMany(m => m.Sites.Where(s => s.Site.IsHeads).Select(s => (m.Name, Site: s))).ToList();
        if (heads.Count > 0)
            figures["heads.svg"] = Figure.ToSvg($"Attention heads by depth: mean of all heads, smallest and largest head (rows: {where})", [.. new[] { ("stat_entropy", "entropy, nats"), ("stat_pmax", "largest weight"), ("stat_sink", "weight on key 0") }.Select(k => new LineChart(k.Item2,
                [.. models.SelectMany(m => new (string, Func<double[], double>)[] { ("mean", h => h.Average()), ("smallest", h => h.Min()), ("largest", h => h.Max()) }.Select(f => new ChartLine($"{m.Name} {f.Item1}",
                    [.. m.Sites.Where(s => s.Site.Name.EndsWith(k.Item1, StringComparison.Ordinal)).Select(s => ((double)BlockOf(s.Site.Name), Heads(s, groups, f.Item2)))]))) ]))]);
        return figures;
    }

    /// <summary>The mean of a fact over the rows of some groups; NaN where there are none.</summary>
    public static double Mean(SiteStatistics site, RowFact fact, IReadOnlyList<int> groups) => Together(site, (int)fact, groups) is { Count: > 0 } m ? m.Mean : double.NaN;

    /// <summary>The moments of a column over some groups.</summary>
    public static Moments Together(SiteStatistics site, int column, IReadOnlyList<int> groups) => groups.Select(g => site.Columns[g][column]).Aggregate(Moments.Empty, (a, b) => Moments.Merge(a, b));

    /// <summary>The block of a site, −1 outside of blocks.</summary>
    public static int BlockOf(string name) => Block().Match(name) is { Success: true } m ? int.Parse(m.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : -1;

    private static double Heads(SiteStatistics site, IReadOnlyList<int> groups, Func<double[], double> combine)
    {
        double[] means = [.. Enumerable.Range(0, site.Site.Width).Select(h => Together(site, h, groups)).Where(m => m.Count > 0).Select(m => m.Mean)];
        return means.Length == 0 ? double.NaN : combine(means);
    }

    private static IEnumerable<(double Depth, SiteStatistics Site)> StreamOf(IReadOnlyList<SiteStatistics> sites)
    {
        foreach (var site in sites)
        {
            string name = site.Site.Name;
            double offset = name.EndsWith(".hook_resid_pre", StringComparison.Ordinal) ? 0 : name.EndsWith(".hook_resid_mid", StringComparison.Ordinal) ? 0.5 : name.EndsWith(".hook_resid_post", StringComparison.Ordinal) ? 1 : -1;
            int block = BlockOf(name);
            // The next block's entry says the same as a block's end.
            if (offset < 0 || block < 0 || (offset.Equals(1.0) && sites.Any(s => s.Site.Name == SiteNames.ResidPre(block + 1)))) continue;
            yield return (block + offset, site);
        }
    }

    private static IEnumerable<(double Depth, SiteStatistics Site)> SublayerOf(IReadOnlyList<SiteStatistics> sites, string which)
        => sites.Where(s => s.Site.Name.EndsWith($".hook_{which}_out", StringComparison.Ordinal)).Select(s => ((double)BlockOf(s.Site.Name), s));

    [GeneratedRegex(@"^blocks\.(\d{1,6})\.")]
    private static partial Regex Block();
}
