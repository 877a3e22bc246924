using System.Globalization;
using System.Text.Json;
using Tare.Backends.Cpu.Roofline;

namespace Tare.Cli.Commands;

/// <summary>What <c>tare bench --roofline</c> prints: the roofs of the machine, and how near to them the product kernels come on weights in the cache.</summary>
internal static class RooflineReport
{
    public static void Print(int[] threads, string format, CancellationToken cancel)
    {
        foreach (int t in threads)
        {
            if (t is < 1 or > 1024) throw new UsageException($"-t {t}: give 1 to 1024 threads");
            var roof = MachineRoof.Measure(t, cancel: cancel);
            var kernels = KernelRoof.Measure(roof, progress: new TypeReport(), cancel: cancel);
            Progress.End();
            if (format == "md") PrintTable(roof, kernels);
            else if (format == "csv") PrintCsv(roof, kernels);
            else Console.Out.WriteLine(JsonSerializer.Serialize(new
            {
                n_threads = t,
                read_gb_per_s = roof.ReadGigabytes,
                f32_gop_per_s = roof.FloatOperations,
                int8_gop_per_s = roof.ByteOperations,
                int16_gop_per_s = roof.ShortOperations,
                kernels = kernels.Select(k => new { type = k.Type.ToString(), arithmetic = k.Arithmetic, rows = k.Rows, gop_per_s = k.Operations, share = k.Share, stored_gb_per_s = k.StoredGigabytes }),
            }));
        }
    }

    private static void PrintTable(MachineRoof roof, List<KernelRoof> kernels)
    {
        Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{roof.Threads} threads: read {roof.ReadGigabytes:F1} GB/s, F32 {roof.FloatOperations:F0} GFLOP/s, int8 {roof.ByteOperations:F0} GOP/s, int16 {roof.ShortOperations:F0} GOP/s"));
        Console.Out.WriteLine();
        Console.Out.WriteLine("| type | arithmetic | rows | GOP/s | of roof | stored GB/s |");
        Console.Out.WriteLine("| --- | --- | ---: | ---: | ---: | ---: |");
        foreach (var k in kernels) Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {k.Type} | {k.Arithmetic} | {k.Rows} | {k.Operations:F1} | {100 * k.Share:F0}% | {k.StoredGigabytes:F1} |"));
        Console.Out.WriteLine();
    }

    private static void PrintCsv(MachineRoof roof, List<KernelRoof> kernels)
    {
        Console.Out.WriteLine("n_threads,read_gb_per_s,type,arithmetic,rows,gop_per_s,share,stored_gb_per_s");
        foreach (var k in kernels) Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{roof.Threads},{roof.ReadGigabytes},{k.Type},{k.Arithmetic},{k.Rows},{k.Operations},{k.Share},{k.StoredGigabytes}"));
    }

    private sealed class TypeReport : IProgress<(int Done, int Total)>
    {
        public void Report((int Done, int Total) value) => Progress.Show("types", value.Done, value.Total);
    }
}
