using System.Text.Json;
using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Diagnostics;
using Tare.Execution;
using Tare.Formats;
using Tare.Graphs;
using Tare.Models;
using Tare.Rewrites;
using Tare.Tests.Support;
using Tare.Tokenizers;

namespace Tare.Tests.Models;

/// <summary>Real checkpoints: every row of every layer on the CPU, short prompts through the float64 interpreter too; perplexity.</summary>
public sealed class RealModelTests
{
    private const double Limit = 1e-12, CpuLimit = 1e-9;

    [ConformanceTheory("fable", "models/fable-ln.F16.gguf", "models/fable-ln-free")]
    [InlineData("fable-ln.F16.gguf", "fable-ln")]
    [InlineData("fable-ln-free", "fable-ln-free")]
    public void Fable_gives_the_reference_logits_and_hidden_states(string model, string reference)
    {
        string root = SharedData.Conformance("fable")!;
        using var file = ModelFile.Open(SharedData.Model(model)!);
        using var expected = ModelFile.Open(Path.Combine(root, $"{reference}.safetensors"));
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(root, $"{reference}.json")));
        var graph = ArchitectureCase.WithHiddenStates(ArchitectureRegistry.Build(file));
        int[][] prompts = [.. json.RootElement.GetProperty("prompts").EnumerateArray().Select(p => p.GetProperty("ids").EnumerateArray().Select(i => i.GetInt32()).ToArray())];
        foreach (var (backend, limit) in Backends())
            using (backend)
                for (int n = 0; n < prompts.Length; n++)
                {
                    var outputs = WholeSequences.Run<double>(backend, graph, prompts[n]);
                    expected.TryGetTensor($"prompt.{n}.logits", out var logits).ShouldBeTrue();
                    Nmse.WorstRow(outputs[GraphBuilder.LogitsOutput], logits!.ToArray(), logits.Width).ShouldBeLessThan(limit, $"{backend.Device.Backend}, prompt {n}");
                    if (expected.TryGetTensor($"prompt.{n}.hidden_states", out var hidden)) CompareLayers(outputs, hidden, 0, (int)hidden.Shape[0], limit);
                }
    }

    [ConformanceFact("smollm2", "models/SmolLM2-135M-Instruct.Q4_1.gguf")]
    public void SmolLM2_gives_the_reference_logits_and_residual_stream()
    {
        string root = SharedData.Conformance("smollm2")!;
        using var file = ModelFile.Open(SharedData.Model("SmolLM2-135M-Instruct.Q4_1.gguf")!);
        using var hidden = ModelFile.Open(Path.Combine(root, "hidden.safetensors"));
        using var last = ModelFile.Open(Path.Combine(root, "logits.safetensors"));
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(root, "expected.json")));
        var graph = ArchitectureCase.WithHiddenStates(ArchitectureRegistry.Build(file));
        foreach (var (backend, limit) in Backends())
            using (backend)
            {
                foreach (var prompt in json.RootElement.GetProperty("prompts").EnumerateArray())
                {
                    string name = prompt.GetProperty("name").GetString()!;
                    if (backend is ReferenceBackend && name != "plain") continue;
                    int[] ids = [.. prompt.GetProperty("ids").EnumerateArray().Select(i => i.GetInt32())];
                    var outputs = WholeSequences.Run<double>(backend, graph, ids);
                    if (hidden.TryGetTensor($"{name}.resid", out var stream))
                    {
                        CompareLayers(outputs, stream, 0, graph.Blocks, limit);
                        hidden.TryGetTensor($"{name}.final_norm", out var final).ShouldBeTrue();
                        Nmse.WorstRow(outputs[$"hidden.{graph.Blocks}"], final!.ToArray(), final.Width).ShouldBeLessThan(limit);
                    }
                    last.TryGetTensor(name, out var logits).ShouldBeTrue();
                    Nmse.WorstRow(outputs[GraphBuilder.LogitsOutput].AsSpan()[^logits!.Width..], logits.ToArray(), logits.Width).ShouldBeLessThan(limit, name);
                    int best = Array.IndexOf(logits.ToArray(), logits.ToArray().Max());
                    best.ShouldBe(prompt.GetProperty("top20")[0].GetProperty("id").GetInt32());
                }
            }
    }

    [ConformanceFact("smollm2", "models/SmolLM2-135M-Instruct.Q4_1.gguf")]
    public void SmolLM2_has_the_reference_perplexity()
    {
        string root = SharedData.Conformance("smollm2")!;
        using var file = ModelFile.Open(SharedData.Model("SmolLM2-135M-Instruct.Q4_1.gguf")!);
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(root, "expected.json")));
        var expected = json.RootElement.GetProperty("perplexity");
        int[] ids = Tokenizer.Of(file).Encode(File.ReadAllText(Path.Combine(root, "eval.txt")), addSpecial: false);
        ids.Length.ShouldBe(expected.GetProperty("tokens").GetInt32());
        using var backend = new CpuBackend();
        var report = Perplexity.Compute(backend, ArchitectureRegistry.Build(file), ids, null, 512);
        report.Windows.ShouldBe(expected.GetProperty("windows").GetInt32());
        report.All.Scored.ShouldBe(expected.GetProperty("all_511").GetProperty("count").GetInt32());
        report.All.MeanNll.ShouldBe(expected.GetProperty("all_511").GetProperty("mean_nll").GetDouble(), 1e-5);
        report.LastHalf.Scored.ShouldBe(expected.GetProperty("last_255").GetProperty("count").GetInt32());
        report.LastHalf.MeanNll.ShouldBe(expected.GetProperty("last_255").GetProperty("mean_nll").GetDouble(), 1e-5);
    }

    [ConformanceTheory("smollm2", "models/SmolLM2-135M-Instruct.Q4_1.gguf")]
    [InlineData(KvType.F16)]
    [InlineData(KvType.Q8_0)]
    public void SmolLM2_with_integer_activations_and_small_caches_stays_close_and_gives_the_same_bits_in_any_chunks(KvType cache)
    {
        string root = SharedData.Conformance("smollm2")!;
        using var file = ModelFile.Open(SharedData.Model("SmolLM2-135M-Instruct.Q4_1.gguf")!);
        using var last = ModelFile.Open(Path.Combine(root, "logits.safetensors"));
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(root, "expected.json")));
        var graph = CacheTypes.Apply(IntegerActivations.Apply(ArchitectureRegistry.Build(file)), cache, cache);
        using var one = new CpuBackend(1);
        using var two = new CpuBackend(2);
        foreach (var prompt in json.RootElement.GetProperty("prompts").EnumerateArray())
        {
            string name = prompt.GetProperty("name").GetString()!;
            int[] ids = [.. prompt.GetProperty("ids").EnumerateArray().Select(i => i.GetInt32())];
            float[] logits = WholeSequences.Run<float>(two, graph, ids)[GraphBuilder.LogitsOutput];
            if (ids.Length < 64) WholeSequences.RunChunked<float>(one, graph, ids, 3)[GraphBuilder.LogitsOutput].ShouldBe(logits);
            last.TryGetTensor(name, out var expected).ShouldBeTrue();
            float[] reference = expected!.ToArray();
            Kl(reference, logits[^reference.Length..]).ShouldBeLessThan(0.01, name);
        }
    }

    [ConformanceTheory("fable", "models/fable-ln.F16.gguf", "models/fable-ln-free")]
    [InlineData("fable-ln.F16.gguf", "fable-ln")]
    [InlineData("fable-ln-free", "fable-ln-free")]
    public void Fable_has_the_reference_perplexity(string model, string reference)
    {
        string root = SharedData.Conformance("fable")!;
        using var file = ModelFile.Open(SharedData.Model(model)!);
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(root, $"{reference}.json")));
        var expected = json.RootElement.GetProperty("perplexity");
        var tokenizer = Tokenizer.Of(file);
        using var backend = new CpuBackend();
        var report = Perplexity.Compute(backend, ArchitectureRegistry.Build(file), tokenizer.Encode(File.ReadAllText(Path.Combine(root, "eval.txt")), addSpecial: false), tokenizer.BeginningOfSequence, 512);
        report.Windows.ShouldBe(expected.GetProperty("windows").GetInt32());
        report.All.Scored.ShouldBe(expected.GetProperty("scored").GetInt32());
        report.All.MeanNll.ShouldBe(expected.GetProperty("mean_nll").GetDouble(), 1e-5);
        report.MedianNll.ShouldBe(expected.GetProperty("median_nll").GetDouble(), 1e-4);
        report.P95Nll.ShouldBe(expected.GetProperty("p95_nll").GetDouble(), 1e-4);
    }

    [ConformanceFact("minilm", "models/all-MiniLM-L6-v2.Q8_0.gguf")]
    public void MiniLM_gives_the_reference_hidden_states_and_embeddings()
    {
        string root = SharedData.Conformance("minilm")!;
        using var file = ModelFile.Open(SharedData.Model("all-MiniLM-L6-v2.Q8_0.gguf")!);
        using var expected = ModelFile.Open(Path.Combine(root, "expected.safetensors"));
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(root, "expected.json")));
        var graph = ArchitectureCase.WithHiddenStates(ArchitectureRegistry.Build(file));
        int[][] sentences = [.. json.RootElement.GetProperty("ids").EnumerateArray().Select(s => s.EnumerateArray().Select(i => i.GetInt32()).ToArray())];
        expected.TryGetTensor("embeddings", out var embeddings).ShouldBeTrue();
        float[] vectors = embeddings!.ToArray();
        foreach (var (backend, limit) in Backends())
            using (backend)
                foreach (int n in backend is ReferenceBackend ? [0, 3, 5] : Enumerable.Range(0, sentences.Length))
                {
                    var outputs = WholeSequences.Run<double>(backend, graph, sentences[n]);
                    if (expected.TryGetTensor($"sentence.{n}.hidden_states", out var hidden)) CompareLayers(outputs, hidden, 0, (int)hidden.Shape[0], limit);
                    double[] rows = outputs[$"hidden.{graph.Blocks}"], mean = new double[embeddings.Width];
                    for (int i = 0; i < rows.Length; i++) mean[i % mean.Length] += rows[i];
                    double norm = Math.Sqrt(mean.Sum(v => v * v)), dot = 0, length = 0;
                    for (int i = 0; i < mean.Length; i++)
                    {
                        float e = vectors[n * mean.Length + i];
                        dot += mean[i] / norm * e;
                        length += (double)e * e;
                    }
                    (1 - dot / Math.Sqrt(length)).ShouldBeLessThan(1e-9, $"sentence {n}");
                }
    }

    // KL(reference ‖ actual) in nats over the whole vocabulary.
    private static double Kl(float[] reference, float[] actual)
    {
        double p0 = reference[0] - LogProbability.Of(reference, 0), q0 = actual[0] - LogProbability.Of(actual, 0);
        return reference.Select((r, id) => Math.Exp(r - p0) * (r - p0 - (actual[id] - q0))).Sum();
    }

    private static (IBackend Backend, double Limit)[] Backends() => [(new ReferenceBackend(), Limit), (new CpuBackend(), CpuLimit)];

    private static void CompareLayers(Dictionary<string, double[]> outputs, MappedTensor expected, int first, int count, double limit)
    {
        float[] all = expected.ToArray();
        int layer = all.Length / (int)expected.Shape[0];
        for (int i = first; i < first + count; i++) Nmse.WorstRow(outputs[$"hidden.{i}"], all.AsSpan(i * layer, layer), expected.Width).ShouldBeLessThan(limit, $"layer {i}");
    }
}
