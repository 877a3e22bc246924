using System.Globalization;
using System.Security;
using System.Text;

namespace Tare.Capture.Plots;

/// <summary>A line of a chart: points in order of x; points without a number break the line.</summary>
/// <param name="Name">As the legend says.</param>
/// <param name="Points">x and y.</param>
public sealed record ChartLine(string Name, IReadOnlyList<(double X, double Y)> Points);

/// <summary>One set of axes with its lines.</summary>
/// <param name="Title">What y is, with its unit.</param>
/// <param name="Lines">The lines; lines of one name have one color in all charts of a figure.</param>
/// <param name="Logarithmic">Whether y has a logarithmic scale; points ≤ 0 are left out.</param>
/// <param name="XTitle">What x is.</param>
public sealed record LineChart(string Title, IReadOnlyList<ChartLine> Lines, bool Logarithmic = false, string XTitle = "block");

/// <summary>Charts side by side as one SVG file that any browser shows, with a common legend.</summary>
public static class Figure
{
    private const int Width = 340, Height = 230, Left = 58, Right = 14, Top = 34, Bottom = 40;
    private static readonly string[] Colors = ["#1b6ca8", "#d1495b", "#2e933c", "#8e44ad", "#e08e0b", "#3d3d3d", "#00a6a6", "#a0522d"];

    /// <summary>The figure as SVG text.</summary>
    public static string ToSvg(string title, IReadOnlyList<LineChart> charts, int columns = 3)
    {
        string[] names = [.. charts.SelectMany(c => c.Lines).Select(l => l.Name).Distinct()];
        columns = Math.Min(columns, charts.Count);
        // Letters of this size are about 6.5 pixels wide; the stroke before a name and the gap behind it take the rest.
        int rows = (charts.Count + columns - 1) / columns, entry = 40 + (int)(6.5 * names.DefaultIfEmpty("").Max(n => n.Length)), perLine = Math.Max(1, columns * Width / entry), legend = (names.Length + perLine - 1) / perLine * 18 + 8, head = 34;
        int width = columns * Width, height = head + legend + rows * Height;
        var svg = new StringBuilder();
        Line(svg, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\">");
        Line(svg, $"<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/><text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{Escape(title)}</text>");
        for (int i = 0; i < names.Length; i++)
        {
            int x = 14 + i % perLine * entry, y = head + 8 + i / perLine * 18;
            Line(svg, $"<line x1=\"{x}\" y1=\"{y}\" x2=\"{x + 20}\" y2=\"{y}\" stroke=\"{Colors[i % Colors.Length]}\" stroke-width=\"2.5\"{Dash(i)}/><text x=\"{x + 26}\" y=\"{y + 4}\">{Escape(names[i])}</text>");
        }
        for (int i = 0; i < charts.Count; i++) Draw(svg, charts[i], i % columns * Width, head + legend + i / columns * Height, names);
        svg.Append("</svg>\n");
        return svg.ToString();
    }

    private static void Draw(StringBuilder svg, LineChart chart, int x0, int y0, string[] names)
    {
        int left = x0 + Left, right = x0 + Width - Right, top = y0 + Top, bottom = y0 + Height - Bottom;
        Line(svg, $"<text x=\"{left}\" y=\"{top - 10}\" font-weight=\"bold\">{Escape(chart.Title)}</text><rect x=\"{left}\" y=\"{top}\" width=\"{right - left}\" height=\"{bottom - top}\" fill=\"none\" stroke=\"#999999\"/>");
        bool Shown((double X, double Y) p) => double.IsFinite(p.Y) && (!chart.Logarithmic || p.Y > 0);
        var points = chart.Lines.SelectMany(l => l.Points).Where(Shown).ToList();
        if (points.Count == 0)
        {
            Line(svg, $"<text x=\"{(left + right) / 2}\" y=\"{(top + bottom) / 2}\" text-anchor=\"middle\" fill=\"#777777\">no data</text>");
            return;
        }
        double Y(double y) => chart.Logarithmic ? Math.Log10(y) : y;
        double xMin = points.Min(p => p.X), xMax = points.Max(p => p.X), yMin = points.Min(p => Y(p.Y)), yMax = points.Max(p => Y(p.Y));
        if (xMax - xMin < 1e-9) (xMin, xMax) = (xMin - 0.5, xMax + 0.5);
        if (yMax - yMin < 1e-9 * Math.Max(1, Math.Abs(yMax))) (yMin, yMax) = (yMin - 0.5, yMax + 0.5);
        double margin = 0.06 * (yMax - yMin);
        (yMin, yMax) = (yMin - margin, yMax + margin);
        double PixelX(double x) => left + (x - xMin) / (xMax - xMin) * (right - left);
        double PixelY(double y) => bottom - (y - yMin) / (yMax - yMin) * (bottom - top);
        foreach (double tick in chart.Logarithmic ? LogTicks(yMin, yMax) : Ticks(yMin, yMax, 5))
        {
            double y = PixelY(chart.Logarithmic ? Math.Log10(tick) : tick);
            Line(svg, $"<line x1=\"{left}\" y1=\"{y:F1}\" x2=\"{right}\" y2=\"{y:F1}\" stroke=\"#e4e4e4\"/><text x=\"{left - 6}\" y=\"{y + 4:F1}\" text-anchor=\"end\">{Label(tick)}</text>");
        }
        foreach (double tick in Ticks(xMin, xMax, 7).Where(t => Math.Abs(t - Math.Round(t)) < 1e-9))
            Line(svg, $"<line x1=\"{PixelX(tick):F1}\" y1=\"{bottom}\" x2=\"{PixelX(tick):F1}\" y2=\"{bottom + 4}\" stroke=\"#999999\"/><text x=\"{PixelX(tick):F1}\" y=\"{bottom + 16}\" text-anchor=\"middle\">{Label(tick)}</text>");
        Line(svg, $"<text x=\"{(left + right) / 2}\" y=\"{bottom + 31}\" text-anchor=\"middle\" fill=\"#555555\">{Escape(chart.XTitle)}</text>");
        foreach (var line in chart.Lines)
        {
            int number = Array.IndexOf(names, line.Name);
            var shown = line.Points.Where(Shown).ToList();
            if (shown.Count == 0) continue;
            string path = string.Join(' ', shown.Select(p => string.Create(CultureInfo.InvariantCulture, $"{PixelX(p.X):F1},{PixelY(Y(p.Y)):F1}")));
            Line(svg, $"<polyline points=\"{path}\" fill=\"none\" stroke=\"{Colors[number % Colors.Length]}\" stroke-width=\"1.8\"{Dash(number)}/>");
            if (shown.Count <= 16)
                foreach (var p in shown) Line(svg, $"<circle cx=\"{PixelX(p.X):F1}\" cy=\"{PixelY(Y(p.Y)):F1}\" r=\"2.4\" fill=\"{Colors[number % Colors.Length]}\"/>");
        }
    }

    private static void Line(StringBuilder svg, FormattableString text) => svg.Append(text.ToString(CultureInfo.InvariantCulture)).Append('\n');

    private static string Dash(int number) => number % 2 == 0 ? "" : " stroke-dasharray=\"6 3\"";

    private static string Escape(string text) => SecurityElement.Escape(text);

    private static string Label(double value) => value == 0 ? "0" : Math.Abs(value) is >= 1e5 or < 1e-3 ? value.ToString("0e0", CultureInfo.InvariantCulture) : value.ToString("0.####", CultureInfo.InvariantCulture);

    private static IEnumerable<double> Ticks(double minimum, double maximum, int wanted)
    {
        double raw = (maximum - minimum) / wanted, power = Math.Pow(10, Math.Floor(Math.Log10(raw))), step = power * (raw / power < 1.5 ? 1 : raw / power < 3.5 ? 2 : raw / power < 7.5 ? 5 : 10);
        for (double tick = Math.Ceiling(minimum / step) * step; tick <= maximum + 1e-9 * step; tick += step) yield return Math.Abs(tick) < step * 1e-6 ? 0 : tick;
    }

    // Powers of ten; with fewer than two of them also 2 and 5 times those, within one of them 3 and 7 times too.
    private static IEnumerable<double> LogTicks(double minimum, double maximum)
    {
        bool fine = Math.Floor(maximum) - Math.Ceiling(minimum) < 2;
        for (int power = (int)Math.Floor(minimum); power <= Math.Ceiling(maximum); power++)
            foreach (double factor in fine ? maximum - minimum < 1 ? new double[] { 1, 2, 3, 5, 7 } : new double[] { 1, 2, 5 } : [1])
                if (Math.Log10(factor) + power is var at && at >= minimum && at <= maximum) yield return factor * Math.Pow(10, power);
    }
}
