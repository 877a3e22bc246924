using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Roofline;
using Tare.Capture;
using Tare.Diagnostics;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Rewrites;
using Tare.Synthesis;

namespace Tare.Bench.Check;

/// <summary>
/// A fixed set of ratios, each of two figures that were measured within a second of one another, so that they carry over between states of one machine: kernels and whole models by the roofs, fast by exact, fused by
/// unfused, two threads by one, capture by none, norms by a copy.
/// </summary>
internal sealed class RatioSuite(int threads, int rounds, string folder)
{
    private const int Prompt = 256, Generate = 48, Depth = 2048, NormWidth = 2048;
    private const long NormBytes = 256L << 20;
    private const double RoofSeconds = 0.1, KernelSeconds = 0.03;

    private static readonly ThroughputTest Reading = new(Prompt, 0, 0), Decoding = new(0, Generate, 0), DecodingBehind = new(0, Generate, Depth);

    /// <summary>All ratios whose group's name contains a text, one after the other.</summary>
    public IEnumerable<Ratio> Measure(string only)
    {
        (string Name, Func<IEnumerable<Ratio>> Ratios)[] groups =
        [
            .. new[] { TensorType.Q4_0, TensorType.Q8_0, TensorType.F16 }.Select(t => ($"model {t}", (Func<IEnumerable<Ratio>>)(() => OfModel(t)))),
            ("paths", Paths), ("capture", OfCapture), ("norms", Norms), ("kernels", Kernels),
        ];
        foreach (var (name, ratios) in groups.Where(g => g.Name.Contains(only, StringComparison.OrdinalIgnoreCase)))
            foreach (var ratio in ratios()) yield return ratio;
    }

    // Two blocks of a 1B Llama: enough that weights don't stay in caches.
    private IEnumerable<Ratio> OfModel(TensorType type)
    {
        using var model = new Model(folder, type, threads);
        using var bench = model.Fast();
        List<double> reading = [], decoding = [];
        bench.WarmUp(Reading);
        bench.WarmUp(Decoding);
        for (int r = 0; r < rounds; r++)
        {
            var roof = MachineRoof.Measure(threads, RoofSeconds);
            double prompt = bench.Repeat(Reading, 1)[0], generated = bench.Repeat(Decoding, 1)[0];
            reading.Add(ProductWork.Of(model.FastGraph, Prompt, 1).Seconds(roof) / prompt);
            decoding.Add(Generate * (ProductWork.Of(model.FastGraph, 1, 1).StoredBytes + bench.CacheBytesRead(Decoding)) / generated / 1e9 / roof.ReadGigabytes);
        }
        yield return Ratio.Of($"{type}: prefill, of the roof of its arithmetic", reading);
        yield return Ratio.Of($"{type}: decode, of the read bandwidth", decoding);
    }

    private IEnumerable<Ratio> Paths()
    {
        using var model = new Model(folder, TensorType.Q4_0, threads);
        using var fast = model.Fast(Depth);
        using (var exact = model.Exact())
        {
            yield return Against("Q4_0: prefill, fast by exact", exact, Reading, fast, Reading);
            yield return Against("Q4_0: decode, fast by exact", exact, Decoding, fast, Decoding);
        }
        using (var unfused = new Model(folder, TensorType.Q4_0, threads, fuses: false))
        using (var other = unfused.Fast())
        {
            yield return Against("Q4_0: prefill, fused by unfused", other, Reading, fast, Reading);
            yield return Against("Q4_0: decode, fused by unfused", other, Decoding, fast, Decoding);
        }
        yield return Against($"Q4_0: decode behind {Depth} tokens by behind none", fast, Decoding, fast, DecodingBehind);
        if (threads == 1) yield break;
        using var single = new Model(folder, TensorType.Q4_0, 1);
        using var one = single.Fast();
        yield return Against($"Q4_0: prefill, {threads} threads by 1", one, Reading, fast, Reading);
    }

    private IEnumerable<Ratio> OfCapture()
    {
        using var model = new Model(folder, TensorType.Q4_0, threads);
        using var weights = model.Backend.CreateWeightStore();
        using var bench = new CaptureOverhead(model.Backend, model.FastGraph, weights, new CaptureSpec { Statistics = SiteNames.Stream }, Prompt);
        foreach (var (name, test) in new[] { ("prefill", Reading), ("decode", Decoding) })
        {
            var overhead = bench.Run(test, rounds).Overhead;
            yield return new Ratio($"Q4_0: {name}, captured by not", 1 / (1 + overhead.Median), 1 / (1 + overhead.High), 1 / (1 + overhead.Low));
        }
    }

    private IEnumerable<Ratio> Norms()
    {
        using var backend = new CpuBackend(threads);
        var bench = new NormKernelBench(backend, 3);
        foreach (bool inMemory in new[] { false, true })
        {
            var shares = new Dictionary<string, List<double>> { ["ln"] = [], ["rms"] = [] };
            for (int r = 0; r < rounds; r++)
                foreach (var row in bench.Run([.. shares.Keys], NormWidth, inMemory, inMemory ? NormBytes : NormKernelBench.CacheBytes * threads, default))
                    if (shares.TryGetValue(row.Variant, out var list)) list.Add(row.CopyShare!.Value);
            foreach (var (variant, list) in shares) yield return Ratio.Of($"add + {variant} of {NormWidth}, {(inMemory ? "memory" : "cache")}: by a copy", list);
        }
    }

    private IEnumerable<Ratio> Kernels()
    {
        var shares = new Dictionary<string, List<double>>();
        for (int r = 0; r < rounds; r++)
            foreach (var kernel in KernelRoof.Measure(MachineRoof.Measure(threads, RoofSeconds), KernelSeconds))
            {
                string name = $"kernel {kernel.Type} {kernel.Arithmetic}, {kernel.Rows} rows: of its roof";
                if (!shares.TryGetValue(name, out var list)) shares[name] = list = [];
                list.Add(kernel.Share);
            }
        return shares.Select(s => Ratio.Of(s.Key, s.Value));
    }

    // Tokens a second of the second by those of the first, in turns.
    private Ratio Against(string name, Throughput yardstick, ThroughputTest first, Throughput path, ThroughputTest second)
    {
        yardstick.WarmUp(first);
        path.WarmUp(second);
        var time = PairedTiming.Measure(() => yardstick.Repeat(first, 1), () => path.Repeat(second, 1), rounds);
        return new Ratio(name, time.Speedup, time.Low, time.High);
    }

    private sealed class Model : IDisposable
    {
        private readonly ModelFile _file;
        private readonly Tare.Execution.IWeightStore _weights;
        private readonly Graph _graph;

        public Model(string folder, TensorType type, int threads, bool fuses = true)
        {
            string path = Path.Combine(folder, $"llama-{type}.gguf");
            if (!File.Exists(path)) SyntheticModel.Write(path, SyntheticShape.Known["llama-1b"] with { Blocks = 2, Vocabulary = 4096 }, type, 1);
            _file = ModelFile.Open(path);
            _graph = ArchitectureRegistry.Build(_file);
            Backend = new CpuBackend(threads) { Fuses = fuses };
            _weights = Backend.CreateWeightStore();
            FastGraph = IntegerActivations.Apply(CacheTypes.Apply(_graph, KvType.F16, KvType.F16));
        }

        public CpuBackend Backend { get; }

        public Graph FastGraph { get; }

        public Throughput Fast(int depth = 0) => new(Backend, FastGraph, _weights, depth, Prompt);

        public Throughput Exact() => new(Backend, _graph, _weights, 0, Prompt);

        public void Dispose()
        {
            _weights.Dispose();
            Backend.Dispose();
            _file.Dispose();
        }
    }
}
