using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Roofline;
using Tare.Diagnostics;
using Tare.Formats;
using Tare.Graphs;
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
        foreach (var test in tests)
        {
            bench.WarmUp(test);
            double speed = (test.Prompt + test.Generate) / PairedTiming.Median(bench.Repeat(test, repetitions));
            var program = (CpuProgram)bench.Program;
            program.StartProfile();
            bench.Repeat(test, 1);
            // Of the test's steps: those of a prompt give the logits of their last row only, and read the matrices once each.
            int steps = test.Prompt == 0 ? test.Generate : bench.StepsOf(test.Prompt);
            var work = ProductWork.Of(graph, test.Prompt + test.Generate, steps);
            double seconds = (test.Prompt + test.Generate) / speed, read = steps * work.StoredBytes + (test.Prompt == 0 ? steps * bench.CacheBytesRead(test) : 0);
            yield return new MeasuredPath(Path.GetFileNameWithoutExtension(path), test, speed, work.Operations / read, work.Operations / seconds / 1e9, read / seconds / 1e9 / roof.ReadGigabytes, work.Seconds(roof) / seconds, program.Profile());
        }
    }
}
