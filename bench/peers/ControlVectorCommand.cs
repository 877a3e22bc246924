using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Tare.Capture.Editing;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;

namespace Tare.Bench.Peers;

/// <summary><c>control-vector</c>: Tare's logits and llama.cpp's under the same control vector; exit code 1 where they differ by more than engines do.</summary>
internal static class ControlVectorCommand
{
    public static Command Create()
    {
        var model = new Option<string>("-m", "--model") { Description = "A model file.", Required = true };
        var file = new Option<string?>("--vector") { Description = "A GGUF control vector (default: random directions of length 1, which Tare writes)." };
        var scale = new Option<float>("--scale") { Description = "What directions are multiplied by.", DefaultValueFactory = _ => 1 };
        var ranges = new Option<string[]>("--layers") { Description = "Layers, both ends included: FIRST-LAST; several (default: all, the first, the last, all but those).", AllowMultipleArgumentsPerToken = true };
        var threads = new Option<int>("-t", "--threads") { Description = "Threads of each side.", DefaultValueFactory = _ => Environment.ProcessorCount };
        var installed = new Option<string>("--peer") { Description = "The folder in which npm installed node-llama-cpp.", DefaultValueFactory = _ => Path.Combine(RepositoryRoot.Path, "bench", "peers") };
        var json = new Option<bool>("--json") { Description = "Print JSON instead of a table." };
        var command = new Command("control-vector", "Tare and llama.cpp under the same control vector.") { model, file, scale, ranges, threads, installed, json };
        command.SetAction(arguments =>
        {
            string path = arguments.GetValue(model)!;
            using var opened = ModelFile.Open(path);
            var graph = ArchitectureRegistry.Build(opened);
            int last = graph.Blocks - 1;
            (int, int)?[] layers = arguments.GetResult(ranges) is null ? [null, (1, 1), (last, last), (2, last - 1)] : [.. arguments.GetValue(ranges)!.Select(r => ((int, int)?)Range(r))];
            string vector = arguments.GetValue(file) ?? Path.GetTempFileName();
            try
            {
                if (arguments.GetValue(file) is null) Random(graph).Write(vector);
                using var peer = CompareCommand.Peers(path, arguments.GetValue(threads), arguments.GetValue(installed)!, "", [FlashAttention.Off])[0];
                var rows = ControlVectorComparison.Compute(opened, graph, peer, vector, arguments.GetValue(scale), layers, arguments.GetValue(threads));
                if (arguments.GetValue(json)) Console.Out.WriteLine(JsonSerializer.Serialize(new { model = Path.GetFileName(path), rows }));
                else Print(Path.GetFileName(path), rows);
                return rows.All(r => r.IsSame != false) ? 0 : 1;
            }
            finally
            {
                if (arguments.GetValue(file) is null) File.Delete(vector);
            }
        });
        return command;
    }

    private static void Print(string model, List<ControlVectorRow> rows)
    {
        Console.Out.WriteLine($"{model}: mean KL in nats, largest |Δlogit| in brackets");
        Console.Out.WriteLine("| layers | with the vector against without | Tare against llama.cpp | a layer later | a layer earlier | same |");
        Console.Out.WriteLine("| --- | ---: | ---: | ---: | ---: | --- |");
        foreach (var row in rows) Console.Out.WriteLine($"| {row.Layers} | {row.Effect} | {row.Difference} | {row.Later} | {row.Earlier} | {row.IsSame switch { true => "yes", false => "NO", _ => "too small to tell" }} |");
    }

    private static ControlVector Random(Graph graph)
    {
        var random = new Random(1);
        int width = graph.TypeOf(graph.HiddenStates[0]).Width;
        return ControlVector.Create(Enumerable.Range(1, graph.Blocks - 1).Select(n =>
        {
            double[] v = [.. Enumerable.Range(0, width).Select(_ => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))];
            double length = Math.Sqrt(v.Sum(x => x * x));
            return KeyValuePair.Create(n, v.Select(x => (float)(x / length)).ToArray().ToImmutableArray());
        }));
    }

    private static (int First, int Last) Range(string text)
        => text.Split('-') is [var a, var b] && int.TryParse(a, NumberStyles.None, CultureInfo.InvariantCulture, out int first) && int.TryParse(b, NumberStyles.None, CultureInfo.InvariantCulture, out int last) && first >= 1 && last >= first
            ? (first, last) : throw new PeerException($"--layers {text}: give FIRST-LAST, from 1");
}
