using BenchmarkDotNet.Attributes;
using Tare.Formats;
using Tare.Graphs;
using Tare.Rewrites;
using Tare.Tokenizers;

namespace Tare.Bench;

/// <summary>Products of [rows, 1024] with a matrix [1024, 1024] in each stored type, exact and fast.</summary>
public class ProductBenchmarks
{
    private StoredMatrix? _matrix;
    private SmallGraph? _graph;

    /// <summary>Types that can be written.</summary>
    public static IEnumerable<TensorType> Types => Tare.Conversion.Requantization.Types;

    [ParamsSource(nameof(Types))] public TensorType Type { get; set; }

    [Params(1, 64)] public int Rows { get; set; }

    [Params(false, true)] public bool Fast { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _matrix = new StoredMatrix(Type, 1024, 1024);
        _graph = new SmallGraph(Rows, 1024, (g, x) => g.Linear(x, _matrix.Weight), Fast ? IntegerActivations.Apply : null);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _graph?.Dispose();
        _matrix?.Dispose();
    }

    [Benchmark] public void Product() => _graph!.Run();
}

/// <summary>Norms over [64, 1024].</summary>
public class NormBenchmarks
{
    private SmallGraph? _graph;

    [Params(NormKind.LayerNorm, NormKind.RmsNorm)] public NormKind Kind { get; set; }

    [GlobalSetup]
    public void Setup() => _graph = new SmallGraph(64, 1024, (g, x) => g.Norm(x, Kind == NormKind.LayerNorm ? NormSpec.LayerNorm(1e-5) : NormSpec.RmsNorm(1e-5)));

    [GlobalCleanup] public void Cleanup() => _graph?.Dispose();

    [Benchmark] public void Norm() => _graph!.Run();
}

/// <summary>Attention of 16 heads of 64 over a cache.</summary>
public class AttentionBenchmarks
{
    private SmallGraph? _graph;

    [Params(1, 64)] public int Rows { get; set; }

    [Params(0, 2048)] public int Depth { get; set; }

    [GlobalSetup]
    public void Setup() => _graph = new SmallGraph(Rows, 1024, (g, x) => g.Attention(x, x, x, new AttentionSpec(16, 16, 64, 64, 0.125)), depth: Depth);

    [GlobalCleanup] public void Cleanup() => _graph?.Dispose();

    [Benchmark] public void Attention() => _graph!.Run();
}

/// <summary>A tokenizer over an English sentence and a word of 10,000 letters; the model is named by the environment variable TARE_BENCH_MODEL.</summary>
public class TokenizerBenchmarks
{
    private static readonly string Word = string.Concat(Enumerable.Range(0, 10_000).Select(i => (char)('a' + i * 7919 % 26)));

    private Tokenizer? _tokenizer;

    [GlobalSetup]
    public void Setup()
    {
        string path = Environment.GetEnvironmentVariable("TARE_BENCH_MODEL") ?? throw new InvalidOperationException("set TARE_BENCH_MODEL to a model file");
        using var file = ModelFile.Open(path);
        _tokenizer = Tokenizer.Of(file);
    }

    [Benchmark] public int Sentence() => _tokenizer!.Encode("The quick brown fox jumps over the lazy dog, and 33 more of them.").Length;

    [Benchmark] public int LongWord() => _tokenizer!.Encode(Word).Length;
}
