using System.Collections.Immutable;
using System.Diagnostics;
using Tare.Backends.Cpu;
using Tare.Graphs.Ops;

namespace Tare.Diagnostics;

/// <summary>Residual addition and norm over rows of one width: x + d → sum, norm of sum → y, in arrays that lie in a cache or in memory.</summary>
internal sealed class NormKernelBench(CpuBackend backend, int rounds)
{
    private const int X = 0, Delta = 1, Sum = 2, Y = 3, Arrays = 4;
    private const double LeastSeconds = 0.002; // of a timed run: short ones are repeated

    /// <summary>Bytes of the four arrays together where they should lie in a cache: a quarter of a usual L2 for each thread.</summary>
    public const long CacheBytes = 256 * 1024;

    /// <summary>Measures variants over rows of <paramref name="width"/> elements, whose four arrays take about <paramref name="bytes"/> together.</summary>
    public IEnumerable<NormBenchRow> Run(IReadOnlyList<string> variants, int width, bool inMemory, long bytes, CancellationToken cancel)
    {
        int rows = (int)Math.Clamp(bytes / (sizeof(float) * Arrays * (long)width), backend.Pool.Threads, int.MaxValue);
        using var arrays = new RowArrays(Arrays, rows, width);
        using var fused = Chain(arrays, width, "ln");
        using var again = Chain(arrays, width, "ln");
        using var naive = new RowChain(backend.Pool, arrays, width, false, [Addition, .. NormVariants.Naive(NormVariants.Op("ln", width)!).Select((op, i) => new RowChainPart(op, [i == 0 ? Sum : Y], Y))]);
        using var scale = new RowChain(backend.Pool, arrays, width, true, [new RowChainPart(new Scale(1.5), [X], Y)]);
        using var plain = new RowChain(backend.Pool, arrays, width, true, [new RowChainPart(null, [X], Y)]);
        int repeats = Repeats(fused);
        var copies = inMemory ? Time(plain, scale) : Time(scale, scale);
        double copySpeed = Speed(2, arrays, width, Math.Min(copies.BaselineSeconds, copies.VariantSeconds), repeats);
        yield return Row(NormBenchRow.Control, again, width, null);
        yield return Row(NormBenchRow.ScaleAndCopy, scale, width, null);
        foreach (string variant in variants)
        {
            int stored = NormVariants.IsCompressed(variant) ? width - 1 : width;
            using var chain = Chain(arrays, width, variant);
            yield return Row(variant, chain, stored, Time(naive, chain));
        }

        PairedTime Time(RowChain a, RowChain b) => PairedTiming.Measure(() => a.Run(repeats), () => b.Run(repeats), rounds, cancel);

        NormBenchRow Row(string variant, RowChain chain, int stored, PairedTime? againstNaive)
        {
            var time = Time(fused, chain);
            double speed = Speed(variant switch { "none" => 3, NormBenchRow.ScaleAndCopy => 2, _ => 4 }, arrays, stored, time.VariantSeconds, repeats);
            return new NormBenchRow("kernel", $"{width}", inMemory ? "memory" : "cache", variant, PerRun(time, repeats), againstNaive is { } t ? PerRun(t, repeats) : null) { BytesPerSecond = speed, CopyShare = speed / copySpeed };
        }
    }

    private static RowChainPart Addition => new(new Add(), [X, Delta], Sum);

    private RowChain Chain(RowArrays arrays, int width, string variant)
    {
        ImmutableArray<RowChainPart> parts = NormVariants.Op(variant, width) is { } op ? [Addition, new RowChainPart(op, [Sum], Y)] : [Addition];
        return new RowChain(backend.Pool, arrays, NormVariants.IsCompressed(variant) ? width - 1 : width, true, parts);
    }

    private static int Repeats(RowChain chain)
    {
        var clock = Stopwatch.StartNew();
        int runs = 0;
        for (; clock.Elapsed.TotalSeconds < 50 * LeastSeconds; runs++) chain.Run(1); // long enough for the compiler to have made its last version
        return Math.Max(1, (int)(runs * LeastSeconds / clock.Elapsed.TotalSeconds));
    }

    private static double Speed(int passes, RowArrays arrays, int width, double seconds, int repeats) => (double)passes * sizeof(float) * arrays.Rows * width * repeats / seconds;

    private static PairedTime PerRun(PairedTime time, int repeats) => time with { BaselineSeconds = time.BaselineSeconds / repeats, VariantSeconds = time.VariantSeconds / repeats };
}
