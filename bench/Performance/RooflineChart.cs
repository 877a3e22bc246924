using System.Globalization;
using System.Security;
using System.Text;
using Tare.Backends.Cpu.Roofline;

namespace Tare.Bench.Performance;

/// <summary>
/// The roofline (Williams, Waterman and Patterson 2009) as an SVG: operations a second over operations a stored byte, both logarithmic. Lines are what the machine gives, hollow marks the product kernels on weights in the
/// cache, filled ones whole models.
/// </summary>
internal static class RooflineChart
{
    private const int Width = 980, Height = 620, Left = 80, Right = 250, Top = 70, Bottom = 60;
    private const double LeastIntensity = 0.5, MostIntensity = 4096, LeastSpeed = 10;

    private static readonly string[] Colors = ["#1f5fa8", "#c8641a", "#2e8b57", "#8b2f8b", "#a83232", "#5a5a00", "#008b8b", "#555555"];

    public static string Draw(MachineRoof roof, IReadOnlyList<KernelRoof> kernels, IReadOnlyList<MeasuredPath> paths, string machine)
    {
        double most = Math.Max(roof.ByteOperations, Math.Max(roof.ShortOperations, roof.FloatOperations)) * 1.6;
        double X(double intensity) => Left + (Width - Left - Right) * Math.Log(Math.Clamp(intensity, LeastIntensity, MostIntensity) / LeastIntensity) / Math.Log(MostIntensity / LeastIntensity);
        double Y(double speed) => Height - Bottom - (Height - Top - Bottom) * Math.Log(Math.Clamp(speed, LeastSpeed, most) / LeastSpeed) / Math.Log(most / LeastSpeed);
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Width}\" height=\"{Height}\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
        Text(svg, Left, 26, "What the machine gives, and what the products of models take", "font-size=\"16\" font-weight=\"bold\"");
        Text(svg, Left, 46, machine, "fill=\"#555\"");
        Axes(svg, X, Y, most);
        Roofs(svg, X, Y, roof);
        foreach (var kernel in kernels)
            svg.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{X(kernel.Operations / kernel.StoredGigabytes):F1}\" cy=\"{Y(kernel.Operations):F1}\" r=\"3\" fill=\"none\" stroke=\"#999\"><title>{kernel.Type} {kernel.Arithmetic}, {kernel.Rows} rows</title></circle>\n");
        int line = Top + 10;
        string[] models = [.. paths.Select(p => p.Model).Distinct()];
        foreach (var path in paths)
        {
            string color = Colors[Array.IndexOf(models, path.Model) % Colors.Length];
            Mark(svg, X(path.Intensity), Y(path.Operations), path.Test.Prompt > 0, color, $"{path.Model} {path.Test}");
        }
        foreach (var (model, i) in models.Select((m, i) => (m, i)))
        {
            svg.Append(CultureInfo.InvariantCulture, $"<rect x=\"{Width - Right + 20}\" y=\"{line - 9}\" width=\"10\" height=\"10\" fill=\"{Colors[i % Colors.Length]}\"/>\n");
            Text(svg, Width - Right + 36, line, model.Length > 28 ? model[..28] : model);
            line += 20;
        }
        foreach (var (shape, what) in new[] { ("prompt", "reading a prompt"), ("generate", "generating"), ("kernel", "kernel, weights in cache") })
        {
            if (shape == "kernel") svg.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{Width - Right + 25}\" cy=\"{line - 4}\" r=\"3\" fill=\"none\" stroke=\"#999\"/>\n");
            else Mark(svg, Width - Right + 25, line - 4, shape == "prompt", "#333", what);
            Text(svg, Width - Right + 36, line, what, "fill=\"#555\"");
            line += 20;
        }
        return svg.Append("</svg>\n").ToString();
    }

    private static void Axes(StringBuilder svg, Func<double, double> x, Func<double, double> y, double most)
    {
        for (double tick = LeastIntensity; tick <= MostIntensity; tick *= 2)
        {
            svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x(tick):F1}\" x2=\"{x(tick):F1}\" y1=\"{Top}\" y2=\"{Height - Bottom}\" stroke=\"#eee\"/>\n");
            Text(svg, x(tick), Height - Bottom + 18, tick.ToString("0.##", CultureInfo.InvariantCulture), "text-anchor=\"middle\" fill=\"#555\"");
        }
        for (double decade = LeastSpeed; decade <= most; decade *= 10)
            foreach (double tick in new[] { decade, 2 * decade, 5 * decade }.Where(t => t <= most))
            {
                svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{y(tick):F1}\" y2=\"{y(tick):F1}\" stroke=\"#eee\"/>\n");
                Text(svg, Left - 8, y(tick) + 4, tick.ToString("0", CultureInfo.InvariantCulture), "text-anchor=\"end\" fill=\"#555\"");
            }
        Text(svg, (Left + Width - Right) / 2.0, Height - 16, "operations for each stored byte that is read", "text-anchor=\"middle\"");
        Text(svg, 0, 0, "10⁹ operations a second", string.Create(CultureInfo.InvariantCulture, $"text-anchor=\"middle\" transform=\"translate(22 {(Top + Height - Bottom) / 2}) rotate(-90)\""));
    }

    private static void Roofs(StringBuilder svg, Func<double, double> x, Func<double, double> y, MachineRoof roof)
    {
        foreach (var (name, limit) in new[] { ("int8", roof.ByteOperations), ("int16", roof.ShortOperations), ("F32", roof.FloatOperations) })
        {
            double corner = Math.Clamp(limit / roof.ReadGigabytes, LeastIntensity, MostIntensity);
            svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x(corner):F1}\" x2=\"{Width - Right}\" y1=\"{y(limit):F1}\" y2=\"{y(limit):F1}\" stroke=\"#333\" stroke-width=\"1.5\"/>\n");
            Text(svg, Width - Right - 4, y(limit) - 5, string.Create(CultureInfo.InvariantCulture, $"{name} {limit:F0}"), "text-anchor=\"end\"");
        }
        double least = Math.Max(LeastIntensity, LeastSpeed / roof.ReadGigabytes), last = Math.Clamp(roof.ByteOperations / roof.ReadGigabytes, LeastIntensity, MostIntensity);
        svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x(least):F1}\" y1=\"{y(least * roof.ReadGigabytes):F1}\" x2=\"{x(last):F1}\" y2=\"{y(last * roof.ReadGigabytes):F1}\" stroke=\"#333\" stroke-width=\"1.5\"/>\n");
        double slope = Math.Atan2(y(last * roof.ReadGigabytes) - y(least * roof.ReadGigabytes), x(last) - x(least)) * 180 / Math.PI, at = Math.Pow(least, 0.8) * Math.Pow(last, 0.2); // low on the line, where no marks are
        Text(svg, 0, -6, string.Create(CultureInfo.InvariantCulture, $"memory {roof.ReadGigabytes:F0} GB/s"), string.Create(CultureInfo.InvariantCulture, $"text-anchor=\"middle\" transform=\"translate({x(at):F1} {y(at * roof.ReadGigabytes):F1}) rotate({slope:F1})\""));
    }

    private static void Mark(StringBuilder svg, double x, double y, bool prompt, string color, string title)
        => svg.Append(prompt
            ? string.Create(CultureInfo.InvariantCulture, $"<rect x=\"{x - 5:F1}\" y=\"{y - 5:F1}\" width=\"10\" height=\"10\" fill=\"{color}\"><title>{SecurityElement.Escape(title)}</title></rect>\n")
            : string.Create(CultureInfo.InvariantCulture, $"<circle cx=\"{x:F1}\" cy=\"{y:F1}\" r=\"5.5\" fill=\"{color}\"><title>{SecurityElement.Escape(title)}</title></circle>\n"));

    private static void Text(StringBuilder svg, double x, double y, string text, string attributes = "")
        => svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{x:F1}\" y=\"{y:F1}\" {attributes}>{SecurityElement.Escape(text)}</text>\n");
}
