using System.Globalization;
using System.Security;
using System.Text;

namespace Tare.Diagnostics;

/// <summary>Measurements of norms as an SVG: one panel for each shape and case, one line for each norm, speed-up with its 95% interval on a logarithmic axis that all panels share.</summary>
public static class NormBenchChart
{
    private const int LabelWidth = 150, PlotWidth = 560, ValueWidth = 200, LineHeight = 22, TitleHeight = 30, PanelGap = 30, HeadHeight = 78, Margin = 20;
    private const string FusedColor = "#1f5fa8", NaiveColor = "#c8641a";

    /// <summary>Draws the rows in their order.</summary>
    public static string Draw(IReadOnlyList<NormBenchRow> rows, string machine)
    {
        var panels = rows.GroupBy(r => $"{r.Level}: {r.Shape}, {r.Case}").ToList();
        var (low, high) = Range(rows);
        double X(double value) => LabelWidth + Margin + PlotWidth * Math.Log(value / low) / Math.Log(high / low);
        int width = 2 * Margin + LabelWidth + PlotWidth + ValueWidth, height = HeadHeight + panels.Sum(p => TitleHeight + p.Count() * LineHeight + PanelGap) + Margin;
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
        Text(svg, Margin, 26, "Speed-up by kind of norm, with 95% interval (right of 1 = faster than LayerNorm)", "font-size=\"16\" font-weight=\"bold\"");
        Text(svg, Margin, 44, machine, "fill=\"#555\"");
        svg.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{Margin + 6}\" cy=\"60\" r=\"4.5\" fill=\"{FusedColor}\"/>\n<rect x=\"{Margin + 222}\" y=\"56\" width=\"8\" height=\"8\" fill=\"white\" stroke=\"{NaiveColor}\" stroke-width=\"1.5\"/>\n");
        Text(svg, Margin + 18, 64, "against fused LayerNorm");
        Text(svg, Margin + 236, 64, "against LayerNorm in separate passes");
        int y = HeadHeight;
        foreach (var panel in panels)
        {
            int bottom = y + TitleHeight + panel.Count() * LineHeight;
            Text(svg, Margin, y + 18, panel.Key, "font-weight=\"bold\"");
            foreach (double tick in Ticks(low, high))
            {
                svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{X(tick):F1}\" x2=\"{X(tick):F1}\" y1=\"{y + TitleHeight - 4}\" y2=\"{bottom}\" stroke=\"{(tick.Equals(1.0) ? "#333" : "#ddd")}\"/>\n");
                Text(svg, X(tick), bottom + 15, tick.ToString("0.###", CultureInfo.InvariantCulture), "text-anchor=\"middle\" fill=\"#555\" font-size=\"11\"");
            }
            int line = y + TitleHeight + LineHeight / 2;
            foreach (var row in panel)
            {
                Text(svg, Margin, line + 4, row.Variant);
                if (row.AgainstNaive is { } naive) Mark(svg, X, naive, line + 4, NaiveColor, round: false);
                Mark(svg, X, row.AgainstFused, line - 3, FusedColor, round: true);
                Text(svg, LabelWidth + 2 * Margin + PlotWidth, line + 4, string.Create(CultureInfo.InvariantCulture, $"{row.AgainstFused.Speedup:F3} [{row.AgainstFused.Low:F3}, {row.AgainstFused.High:F3}]"), "font-size=\"12\"");
                line += LineHeight;
            }
            y = bottom + PanelGap;
        }
        return svg.Append("</svg>\n").ToString();
    }

    private static void Mark(StringBuilder svg, Func<double, double> x, PairedTime time, int y, string color, bool round)
    {
        svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x(time.Low):F1}\" x2=\"{x(time.High):F1}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{color}\" stroke-width=\"2\"/>\n");
        svg.Append(round
            ? string.Create(CultureInfo.InvariantCulture, $"<circle cx=\"{x(time.Speedup):F1}\" cy=\"{y}\" r=\"4.5\" fill=\"{color}\"/>\n")
            : string.Create(CultureInfo.InvariantCulture, $"<rect x=\"{x(time.Speedup) - 4:F1}\" y=\"{y - 4}\" width=\"8\" height=\"8\" fill=\"white\" stroke=\"{color}\" stroke-width=\"1.5\"/>\n"));
    }

    private static (double Low, double High) Range(IReadOnlyList<NormBenchRow> rows)
    {
        var times = rows.SelectMany(r => r.AgainstNaive is { } naive ? new[] { r.AgainstFused, naive } : [r.AgainstFused]).ToList();
        return (Math.Min(0.9, times.Min(t => t.Low)) / 1.03, Math.Max(1.1, times.Max(t => t.High)) * 1.03);
    }

    // 1, and as many of a finer or a coarser series as leave room for their labels.
    private static IEnumerable<double> Ticks(double low, double high)
    {
        double[] fine = [0.8, 0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5], coarse = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50], wide = [0.0001, 0.001, 0.01, 0.1, 1, 10, 100, 1000, 10000];
        return (high / low < 1.8 ? fine : high / low < 30 ? coarse : wide).Where(t => t >= low && t <= high);
    }

    private static void Text(StringBuilder svg, double x, double y, string text, string attributes = "")
        => svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{x:F1}\" y=\"{y:F1}\" {attributes}>{SecurityElement.Escape(text)}</text>\n");
}
