using System.Globalization;
using System.Text;
using System.Text.Json;
using Tare.Diagnostics;

namespace Tare.Cli.Commands.Norms;

/// <summary>Measurements of norms as Markdown or JSON.</summary>
internal static class NormBenchReport
{
    public static string Markdown(IReadOnlyList<NormBenchRow> rows, string machine, int rounds)
    {
        bool kernel = rows.Any(r => r.BytesPerSecond is not null);
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{machine}; {rounds} rounds A B B A; speed-up = time of LayerNorm / time, median [95% interval]\n\n");
        text.Append(kernel ? "| width | in | norm | µs | GB/s | of copy | against fused ln | | against naive ln |\n|---:|---|---|---:|---:|---:|---|---|---|\n" : "| shape | test | norm | ms | norms' part | against fused ln | | against naive ln |\n|---|---|---|---:|---:|---|---|---|\n");
        foreach (var r in rows)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {r.Shape} | {r.Case} | {r.Variant} | {r.AgainstFused.VariantSeconds * (kernel ? 1e6 : 1e3):F2} | ");
            if (kernel) text.Append(CultureInfo.InvariantCulture, $"{r.BytesPerSecond / 1e9:F1} | {100 * r.CopyShare:F0}% | ");
            else text.Append(r.NormShare is { } share ? string.Create(CultureInfo.InvariantCulture, $"{100 * share:F2}% | ") : "– | ");
            text.Append(CultureInfo.InvariantCulture, $"{Ratio(r.AgainstFused)} | {r.AgainstFused.Verdict} | {(r.AgainstNaive is { } naive ? Ratio(naive) : "–")} |\n");
        }
        return text.ToString();
    }

    public static string Json(IReadOnlyList<NormBenchRow> rows, string machine, int rounds) => JsonSerializer.Serialize(new
    {
        machine,
        rounds,
        results = rows.Select(r => new
        {
            level = r.Level,
            shape = r.Shape,
            @case = r.Case,
            norm = r.Variant,
            seconds = r.AgainstFused.VariantSeconds,
            bytes_per_second = r.BytesPerSecond,
            copy_share = r.CopyShare,
            norm_share = r.NormShare,
            against_fused = Object(r.AgainstFused),
            against_naive = r.AgainstNaive is { } naive ? Object(naive) : null,
        }),
    }) + "\n";

    private static object Object(PairedTime time) => new { speedup = time.Speedup, low = time.Low, high = time.High, verdict = time.Verdict, baseline_seconds = time.BaselineSeconds, seconds = time.VariantSeconds };

    private static string Ratio(PairedTime time) => string.Create(CultureInfo.InvariantCulture, $"{time.Speedup:F3} [{time.Low:F3}, {time.High:F3}]");
}
