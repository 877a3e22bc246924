using Tare.Backends.Cpu;
using Tare.Formats;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Models;
using Tare.Synthesis;

namespace Tare.Diagnostics;

/// <summary>How many sequences and tokens a run of a layer or model has.</summary>
/// <param name="Batch">Sequences in a step.</param>
/// <param name="Sequence">Tokens of each prompt; decoding goes on from there.</param>
/// <param name="Generate">Tokens that each sequence is continued by in a timed run.</param>
internal readonly record struct NormBenchSize(int Batch, int Sequence, int Generate);

/// <summary>
/// A model of a synthetic shape, or one block of it with a small vocabulary, with each kind of norm: prefill and decode. All variants share the matrices of one file; those of compressed norms are rewritten, and
/// F32 from then on.
/// </summary>
internal sealed class NormModelBench(CpuBackend fused, CpuBackend unfused, int rounds, NormBenchSize size)
{
    private const int LayerVocabulary = 512;

    /// <summary>Shapes that have a LayerNorm form whose norms can all be exchanged.</summary>
    public static IReadOnlyList<string> Shapes { get; } = [.. SyntheticShape.Known.Where(s => s.Value.Architecture is "gpt2" or "llama").Select(s => s.Key)];

    /// <summary>Measures variants; the model is written to a temporary folder first.</summary>
    public IEnumerable<NormBenchRow> Run(IReadOnlyList<string> variants, string name, SyntheticShape shape, bool oneLayer, TensorType type, CancellationToken cancel)
    {
        string level = oneLayer ? "layer" : "model", folder = Directory.CreateTempSubdirectory("tare-norm-bench-").FullName;
        try
        {
            string path = Path.Combine(folder, "model.gguf");
            SyntheticModel.Write(path, Prepare(shape, oneLayer), type, 1, cancel: cancel);
            using var file = ModelFile.Open(path);
            foreach (var row in Run(variants, level, name, ArchitectureRegistry.Build(file), cancel)) yield return row;
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    private IEnumerable<NormBenchRow> Run(IReadOnlyList<string> variants, string level, string name, Graph graph, CancellationToken cancel)
    {
        using var weights = fused.CreateWeightStore();
        using var baseline = Batch(fused, graph, weights, cancel);
        using var naive = Batch(unfused, NormVariants.WithNaive(graph), weights, cancel);
        using (var again = Batch(fused, graph, weights, cancel))
            foreach (bool decode in new[] { false, true })
                yield return new NormBenchRow(level, name, decode ? "decode" : "prefill", NormBenchRow.Control, Time(baseline, again, decode, cancel), null);
        foreach (string variant in variants)
        {
            var changed = NormVariants.Apply(graph, variant);
            using var own = fused.CreateWeightStore(); // rewritten matrices go when the variant goes
            var store = NormVariants.IsCompressed(variant) ? own : weights;
            double?[] shares = [.. new[] { false, true }.Select(decode => variant == "none" ? (double?)null : Share(changed, store, decode, cancel))];
            using var measured = Batch(fused, changed, store, cancel);
            foreach (bool decode in new[] { false, true })
                yield return new NormBenchRow(level, name, decode ? "decode" : "prefill", variant, Time(baseline, measured, decode, cancel), Time(naive, measured, decode, cancel)) { NormShare = shares[decode ? 1 : 0] };
        }
    }

    private SyntheticShape Prepare(SyntheticShape shape, bool oneLayer)
    {
        if (shape.Architecture is not ("gpt2" or "llama")) throw new ArgumentException($"{shape.Architecture} has no LayerNorm form to compare with (possible: {string.Join(", ", Shapes)})");
        shape = shape with { Norm = SyntheticNorms.Section("layernorm"), Context = Math.Max(shape.Context, size.Sequence + size.Generate) };
        return oneLayer ? shape with { Blocks = 1, Vocabulary = Math.Min(shape.Vocabulary, LayerVocabulary) } : shape;
    }

    private SequenceBatch Batch(CpuBackend backend, Graph graph, Tare.Execution.IWeightStore weights, CancellationToken cancel) => new(backend, graph, weights, size.Batch, size.Sequence, size.Generate, cancel);

    private void Work(SequenceBatch batch, bool decode, CancellationToken cancel)
    {
        if (decode) batch.Decode(size.Generate, cancel);
        else batch.Prefill(cancel);
    }

    private PairedTime Time(SequenceBatch a, SequenceBatch b, bool decode, CancellationToken cancel)
    {
        a.Prefill(cancel); // decoding reads what this leaves in the caches
        b.Prefill(cancel);
        return PairedTiming.Measure(() => Work(a, decode, cancel), () => Work(b, decode, cancel), rounds, cancel);
    }

    // Part of one thread's time, its waiting for the others left out.
    private double Share(Graph graph, Tare.Execution.IWeightStore weights, bool decode, CancellationToken cancel)
    {
        using var batch = Batch(unfused, graph, weights, cancel);
        batch.Prefill(cancel);
        Work(batch, decode, cancel);
        var program = (CpuProgram)batch.Program;
        program.StartProfile();
        for (int r = 0; r < rounds; r++) Work(batch, decode, cancel);
        var kernels = program.Profile().Where(k => k.Count > 0).ToList();
        return kernels.Where(k => k.Kernel == nameof(Norm)).Sum(k => k.Seconds) / kernels.Sum(k => k.Seconds);
    }
}
