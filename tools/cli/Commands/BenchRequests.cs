using System.Diagnostics;
using System.Text.Json;
using Tare.Diagnostics;
using Tare.Execution;
using Tare.Execution.Edits;
using Tare.Formats;
using Tare.Graphs;

namespace Tare.Cli.Commands;

/// <summary><c>tare bench --stdin</c>: a process that keeps its model and runs one test for each line it reads, so that a driver can let programs take turns within seconds.</summary>
internal static class BenchRequests
{
    private sealed record Request(int n_prompt, int n_gen, int n_depth, int? repetitions);

    /// <summary>Answers until the input ends; takes over the backend.</summary>
    public static void Serve(ModelFile file, (Graph Graph, StepEdits? Edits) model, IBackend backend, ThroughputTest[] largest, CancellationToken cancel)
    {
        var clock = Stopwatch.StartNew();
        using var owned = backend;
        using var weights = backend.CreateWeightStore();
        int depth = largest.Max(t => t.Depth), tokens = largest.Max(t => t.Prompt + t.Generate);
        using var bench = new Throughput(backend, model.Graph, weights, depth, tokens, edits: model.Edits);
        Answer(new { model_filename = file.Path, cpu_info = backend.Device.Name, backends = backend.Device.Backend, n_threads = backend.Device.Threads, load_ns = (long)clock.Elapsed.TotalNanoseconds });
        var warm = new HashSet<ThroughputTest>();
        while (Console.In.ReadLine() is { } line)
        {
            var (test, repetitions) = Read(line, depth, tokens);
            if (warm.Add(test)) bench.WarmUp(test, cancel);
            double[] seconds = bench.Repeat(test, repetitions, cancel);
            Answer(new { n_prompt = test.Prompt, n_gen = test.Generate, n_depth = test.Depth, samples_ns = seconds.Select(s => (long)(s * 1e9)) });
        }
    }

    private static (ThroughputTest Test, int Repetitions) Read(string line, int depth, int tokens)
    {
        Request? request;
        try
        {
            request = JsonSerializer.Deserialize<Request>(line);
        }
        catch (JsonException e)
        {
            throw new UsageException($"--stdin: '{line}' is no request: {e.Message}");
        }
        if (request is null || request.n_prompt < 0 || request.n_gen < 0 || request.n_depth < 0 || request.repetitions < 1 || (long)request.n_prompt + request.n_gen is < 1 || (long)request.n_prompt + request.n_gen > tokens || request.n_depth > depth)
            throw new UsageException($"--stdin: '{line}': give 1 to {tokens} tokens behind at most {depth}, at least once");
        return (new ThroughputTest(request.n_prompt, request.n_gen, request.n_depth), request.repetitions ?? 1);
    }

    private static void Answer(object value)
    {
        Console.Out.WriteLine(JsonSerializer.Serialize(value));
        Console.Out.Flush();
    }
}
