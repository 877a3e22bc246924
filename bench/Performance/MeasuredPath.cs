using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Roofline;
using Tare.Diagnostics;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Models;
using Tare.Rewrites;

namespace Tare.Bench.Performance;

/// <summary>A model's run in the fast precision, as a point of the roofline and by kind of kernel.</summary>
/// <param name="Model">File name without its ending.</param>
/// <param name="Test">What ran.</param>
/// <param name="TokensPerSecond">Median of the repetitions.</param>
/// <param name="Intensity">Operations of the products by stored byte of weights and cache that they read.</param>
/// <param name="Operations">10⁹ operations of the products a second.</param>
/// <param name="ReadShare">Bytes read a second over the read bandwidth.</param>
/// <param name="ArithmeticShare">Time that the products take at the roof of their arithmetic, over the time taken.</param>
/// <param name="Kernels">Seconds of one thread by kind of kernel; waiting for other threads comes last.</param>
internal sealed record MeasuredPath(string Model, ThroughputTest Test, double TokensPerSecond, double Intensity, double Operations, double ReadShare, double ArithmeticShare, IReadOnlyList<(string Kernel, int Count, double Seconds)> Kernels)
{
    private const int Batch = 512;

    /// <summary>Runs the tests of a file.</summary>
    public static IEnumerable<MeasuredPath> Measure(string path, IReadOnlyList<ThroughputTest> tests, int repetitions, MachineRoof roof)
    {
        using var file = ModelFile.Open(path);
        var graph = IntegerActivations.Apply(CacheTypes.Apply(ArchitectureRegistry.Build(file), KvType.F16, KvType.F16));
        using var backend = new CpuBackend(roof.Threads);
        using var weights = backend.CreateWeightStore();
        using var bench = new Throughput(backend, graph, weights, tests.Max(t => t.Depth), tests.Max(t => t.Prompt + t.Generate), Batch);
        var (operations, seconds, bytes) = Products(graph, roof);
        foreach (var test in tests)
        {
            bench.WarmUp(test);
            double speed = (test.Prompt + test.Generate) / PairedTiming.Median(bench.Repeat(test, repetitions));
            var program = (CpuProgram)bench.Program;
            program.StartProfile();
            bench.Repeat(test, 1);
            double rows = test.Prompt == 0 ? 1 : Math.Min(Batch, test.Prompt), read = (bytes + (test.Prompt == 0 ? bench.CacheBytesRead(test) : 0)) / rows; // of a token
            yield return new MeasuredPath(Path.GetFileNameWithoutExtension(path), test, speed, operations / read, operations * speed / 1e9, read * speed / 1e9 / roof.ReadGigabytes, seconds * speed, program.Profile());
        }
    }

    // Of one token through every product (the head too, which a prompt computes for its last token only: prefill is credited a little too much there): operations, seconds at the roofs of their arithmetic, stored bytes.
    private static (double Operations, double Seconds, double Bytes) Products(Graph graph, MachineRoof roof)
    {
        double operations = 0, seconds = 0, bytes = 0;
        foreach (var node in graph.Nodes)
        {
            if (node.Op is not Linear { Weight: var weight }) continue;
            double ops = 2.0 * weight.Rows * weight.Width;
            operations += ops;
            seconds += ops * 1e-9 / (graph.OpOf(node.Inputs[0]) is QuantizeRows rows ? rows.Bits == 8 ? roof.ByteOperations : roof.ShortOperations : roof.FloatOperations);
            bytes += weight.TryGetStoredRow(0, out var row) ? weight.Rows * (double)row.Length : 4.0 * weight.Rows * weight.Width;
        }
        return (operations, seconds, bytes);
    }
}
