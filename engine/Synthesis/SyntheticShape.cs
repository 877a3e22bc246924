namespace Tare.Synthesis;

/// <summary>The shape of a model with random weights.</summary>
/// <param name="Architecture">llama, qwen3, gpt2 or gptneox, as GGUF names them.</param>
/// <param name="Blocks">Transformer blocks.</param>
/// <param name="Width">Width of the residual stream.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Key heads; equal to Heads for gpt2 and gptneox.</param>
/// <param name="HeadWidth">Width of a head.</param>
/// <param name="Inner">Width of the MLP.</param>
/// <param name="Vocabulary">Tokens.</param>
/// <param name="Context">Positions that the model was made for.</param>
/// <param name="Tied">The head is the embedding.</param>
public sealed record SyntheticShape(string Architecture, int Blocks, int Width, int Heads, int KvHeads, int HeadWidth, int Inner, int Vocabulary, int Context, bool Tied)
{
    /// <summary>The <c>norm</c> section of a llama or gpt2 model as JSON, or null for the architecture's own norms.</summary>
    public string? Norm { get; init; }

    /// <summary>Shapes by name.</summary>
    public static IReadOnlyDictionary<string, SyntheticShape> Known { get; } = new Dictionary<string, SyntheticShape>(StringComparer.Ordinal)
    {
        ["llama-1b"] = new("llama", 16, 2048, 32, 8, 64, 8192, 128256, 131072, true),
        ["smollm2-135m"] = new("llama", 30, 576, 9, 3, 64, 1536, 49152, 8192, true),
        ["qwen3-0.6b"] = new("qwen3", 28, 1024, 16, 8, 128, 3072, 151936, 40960, true),
        ["gpt2-124m"] = new("gpt2", 12, 768, 12, 12, 64, 3072, 50257, 1024, true),
        ["gpt3-small"] = Gpt3(12, 768, 12),
        ["gpt3-medium"] = Gpt3(24, 1024, 16),
        ["gpt3-large"] = Gpt3(24, 1536, 16),
        ["gpt3-xl"] = Gpt3(24, 2048, 16),
        ["gpt3-2.7b"] = Gpt3(32, 2560, 32),
        ["gpt3-6.7b"] = Gpt3(32, 4096, 32),
        ["gpt3-13b"] = Gpt3(40, 5120, 40),
        ["pythia-410m"] = new("gptneox", 24, 1024, 16, 16, 64, 4096, 50304, 2048, false),
    };

    /// <summary>Architectures that can be made.</summary>
    public static IReadOnlyList<string> Architectures { get; } = ["gpt2", "gptneox", "llama", "qwen3"];

    // Brown et al. 2020 (arXiv 2005.14165), table 2.1, with heads that divide the width.
    private static SyntheticShape Gpt3(int blocks, int width, int heads) => new("gpt2", blocks, width, heads, heads, width / heads, 4 * width, 50257, 2048, true);

    /// <summary>Throws <see cref="ArgumentException"/> naming what does not fit.</summary>
    public void Validate()
    {
        if (!Architectures.Contains(Architecture)) throw new ArgumentException($"architecture '{Architecture}' can't be made (can be: {string.Join(", ", Architectures)})");
        foreach (var (name, value) in new[] { ("blocks", Blocks), ("width", Width), ("heads", Heads), ("key heads", KvHeads), ("head width", HeadWidth), ("inner width", Inner), ("vocabulary", Vocabulary), ("context", Context) })
            if (value < 1) throw new ArgumentException($"{name} = {value} must be at least 1");
        if (Norm is not null && Architecture is not ("llama" or "gpt2")) throw new ArgumentException($"{Architecture} has no norm section (llama and gpt2 have)");
        if (Heads % KvHeads != 0) throw new ArgumentException($"{KvHeads} key heads don't divide {Heads} heads");
        if (HeadWidth % 2 != 0 && Architecture != "gpt2") throw new ArgumentException($"head width {HeadWidth} is odd, so it can't be rotated");
        if (Architecture is "gpt2" or "gptneox" && (KvHeads != Heads || Heads * HeadWidth != Width)) throw new ArgumentException($"{Architecture} needs as many key heads as heads and heads · head width = width");
    }
}
