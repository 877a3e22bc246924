using System.CommandLine;
using Tare.Backends.Cpu;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Graphs;
using Tare.Rewrites;

namespace Tare.Cli.Commands;

/// <summary>Options that several commands take in the same form.</summary>
internal static class SharedOptions
{
    public static Option<string> Model() => new("-m", "--model") { Description = "A .gguf, a .safetensors or a checkpoint folder.", Required = true };

    public static Option<string> Output() => new("-o", "--output") { Description = "The file to write; it appears whole or not at all.", Required = true };

    public static Option<bool> Json() => new("--json") { Description = "Print JSON instead of a table." };

    public static Option<bool> NoMap() => new("--no-mmap") { Description = "Copy the file into memory instead of mapping it." };

    public static Option<int> Threads()
    {
        var option = new Option<int>("-t", "--threads") { Description = "Threads that compute.", DefaultValueFactory = _ => Environment.ProcessorCount };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out int value) && value is < 1 or > 1024) result.AddError($"-t {result.Tokens[0].Value}: give 1 to 1024 threads");
        });
        return option;
    }

    /// <summary>How to compute; what serves and measures speed is fast unless told otherwise, what numbers are compared with (embeddings, captures, rewrites) exact.</summary>
    public static Option<string> Precision(string otherwise = Exact)
    {
        var option = new Option<string>("--precision") { Description = "exact: F32 activations and cache; fast: 8-bit activations before quantized weights; float64: the slow reference interpreter.", DefaultValueFactory = _ => otherwise };
        option.AcceptOnlyFromAmong(Precisions);
        return option;
    }

    /// <summary>The element type of cached keys; null = by precision.</summary>
    public static Option<string?> KeyType() => CacheType("-ctk", "--cache-type-k", "keys");

    /// <summary>The element type of cached values; null = by precision.</summary>
    public static Option<string?> ValueType() => CacheType("-ctv", "--cache-type-v", "values");

    public static Option<string?> Norm()
    {
        var option = new Option<string?>("--norm") { Description = $"Rewrite the norms at load time, with the same logits: {string.Join(", ", NormRewrites.Targets.Keys)}." };
        option.AcceptOnlyFromAmong([.. NormRewrites.Targets.Keys]);
        return option;
    }

    /// <summary>The backend that a precision asks for.</summary>
    public static IBackend Backend(string precision, int threads) => precision == Float64 ? new ReferenceBackend(threads) : new CpuBackend(threads);

    /// <summary>The graph that a precision and types of cached keys and values ask for; caches are F16 in the fast precision, else F32, where no type is given.</summary>
    public static Graph Graph(string precision, Graph graph, string? keyType = null, string? valueType = null)
    {
        KvType otherwise = precision == Fast ? KvType.F16 : KvType.F32;
        graph = CacheTypes.Apply(graph, Parse(keyType), Parse(valueType));
        return precision == Fast ? IntegerActivations.Apply(graph) : graph;

        KvType Parse(string? name) => name is null ? otherwise : Enum.Parse<KvType>(name, ignoreCase: true);
    }

    private static Option<string?> CacheType(string name, string alias, string what)
    {
        var option = new Option<string?>(alias, name) { Description = $"Element type of cached {what}: {string.Join(", ", CacheTypeNames)} (default: f16 in the fast precision, else f32)." };
        option.AcceptOnlyFromAmong(CacheTypeNames);
        return option;
    }

    private static readonly string[] CacheTypeNames = [.. Enum.GetNames<KvType>().Select(n => n.ToLowerInvariant())];

    /// <summary>Names of precisions.</summary>
    public static string[] Precisions { get; } = [Exact, Fast, Float64];

    /// <summary>Coordinates of a graph that <c>--norm</c> gave: <c>raw</c> where it is what the file has.</summary>
    public static string Coordinates(Graph file, Graph rewritten, string? norm) => norm is null || GraphDump.ToText(file) == GraphDump.ToText(rewritten) ? "raw" : $"norm:{norm}";

    /// <summary>The graph with the norms that <c>--norm</c> asks for; itself without it.</summary>
    public static Graph WithNorms(Graph graph, string? norm) => WithNorms(graph, norm, out _);

    /// <summary>The same, and the coordinates that its stream is in.</summary>
    public static Graph WithNorms(Graph graph, string? norm, out StreamCoordinates coordinates)
    {
        var report = new RewriteReport();
        coordinates = report.Coordinates;
        return norm is null ? graph : NormRewrites.Apply(graph, NormRewrites.Targets[norm], report);
    }

    /// <summary>The names themselves.</summary>
    public const string Exact = "exact", Fast = "fast", Float64 = "float64";
}
