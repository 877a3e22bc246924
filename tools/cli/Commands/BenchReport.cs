using System.Globalization;
using System.Text.Json;
using Tare.Backends.Cpu.Roofline;
using Tare.Diagnostics;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;

namespace Tare.Cli.Commands;

/// <summary>What <c>tare bench</c> prints: llama-bench's fields and units, then bytes read, shares of the roofs and the cache.</summary>
internal static class BenchReport
{
    /// <summary>The fields of one test; shares are null where the roof was not measured.</summary>
    public static Dictionary<string, object?> Row(ModelFile file, Graph graph, IBackend backend, int threads, ThroughputTest test, double[] seconds, MachineRoof? roof, Throughput bench, string edits)
    {
        int tokens = test.Prompt + test.Generate;
        double[] speeds = [.. seconds.Select(s => tokens / s)];
        double bytes = test.Prompt > 0 ? 0 : (ProductWork.Of(graph, 1, 1).StoredBytes + bench.CacheBytesRead(test)) * speeds.Average() / 1e9;
        return new()
        {
            ["model_filename"] = file.Path,
            ["model_size"] = file.Tensors.Sum(t => t.ByteLength),
            ["model_n_params"] = file.Tensors.Sum(t => t.ElementCount),
            ["backends"] = backend.Device.Backend,
            ["cpu_info"] = backend.Device.Name,
            ["n_threads"] = threads,
            ["type_k"] = CacheType(graph, a => a.KeyType),
            ["type_v"] = CacheType(graph, a => a.ValueType),
            ["n_prompt"] = test.Prompt,
            ["n_gen"] = test.Generate,
            ["n_depth"] = test.Depth,
            ["edits"] = edits,
            ["test_time"] = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture),
            ["avg_ns"] = (long)(seconds.Average() * 1e9),
            ["stddev_ns"] = (long)(Deviation(seconds) * 1e9),
            ["avg_ts"] = speeds.Average(),
            ["stddev_ts"] = Deviation(speeds),
            ["samples_ns"] = seconds.Select(s => (long)(s * 1e9)).ToArray(),
            ["samples_ts"] = speeds,
            ["gb_per_s"] = bytes,
            ["read_roof_gb_per_s"] = roof?.ReadGigabytes,
            ["roof_share"] = roof is null || test is { Prompt: > 0, Generate: > 0 } ? null : test.Generate == 0 ? ProductWork.Of(graph, test.Prompt, bench.StepsOf(test.Prompt)).Seconds(roof) / test.Prompt * speeds.Average() : bytes / roof.ReadGigabytes,
            ["kv_bytes"] = bench.CacheBytes(test),
        };
    }

    // llama-bench's names; one for the mixed case that it does not have.
    private static string CacheType(Graph graph, Func<KvAppend, KvType> type)
    {
        string[] names = [.. graph.Nodes.Select(n => n.Op).OfType<KvAppend>().Select(a => type(a).ToString().ToLowerInvariant()).Distinct()];
        return names.Length switch { 0 => "none", 1 => names[0], _ => "mixed" };
    }

    /// <summary>All rows as md, csv, json or jsonl.</summary>
    public static void Print(List<Dictionary<string, object?>> rows, string format)
    {
        switch (format)
        {
            case "json": Console.Out.WriteLine(JsonSerializer.Serialize(rows)); break;
            case "jsonl": foreach (var row in rows) Console.Out.WriteLine(JsonSerializer.Serialize(row)); break;
            case "csv":
                string[] keys = [.. rows[0].Keys.Where(k => !k.StartsWith("samples", StringComparison.Ordinal))];
                Console.Out.WriteLine(string.Join(',', keys));
                foreach (var row in rows) Console.Out.WriteLine(string.Join(',', keys.Select(k => $"\"{(Convert.ToString(row[k], CultureInfo.InvariantCulture) ?? "").Replace("\"", "\"\"")}\"")));
                break;
            default:
                Console.Out.WriteLine("| model | size | params | backend | threads | test | t/s | GB/s | of roof | KV MiB |");
                Console.Out.WriteLine("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
                foreach (var row in rows)
                {
                    var test = new ThroughputTest((int)row["n_prompt"]!, (int)row["n_gen"]!, (int)row["n_depth"]!);
                    string share = row["roof_share"] is double part ? string.Create(CultureInfo.InvariantCulture, $"{100 * part:F0}%") : "–";
                    Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {Path.GetFileName((string)row["model_filename"]!)} | {(long)row["model_size"]! / 1048576.0:F2} MiB | {(long)row["model_n_params"]! / 1e6:F2} M | {row["backends"]} | {row["n_threads"]} | {test}{((string)row["edits"]! == "" ? "" : " edited")} | {row["avg_ts"]:F2} ± {row["stddev_ts"]:F2} | {row["gb_per_s"]:F1} | {share} | {(long)row["kv_bytes"]! / 1048576.0:F2} |"));
                }
                break;
        }
    }

    private static double Deviation(double[] values) => values.Length < 2 ? 0 : Math.Sqrt(values.Sum(v => (v - values.Average()) * (v - values.Average())) / (values.Length - 1));
}
