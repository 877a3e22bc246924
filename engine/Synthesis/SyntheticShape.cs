namespace Tare.Synthesis;

/// <summary>The shape of a model with random weights.</summary>
/// <param name="Architecture">One of <see cref="Architectures"/>, as GGUF names them.</param>
/// <param name="Blocks">Transformer blocks (how deep the model is).</param>
/// <param name="Width">Width of the residual stream.</param>
/// <param name="Heads">Query heads; openelm: of the last block.</param>
/// <param name="KvHeads">Key heads; equal to Heads for gpt2 and gptneox.</param>
/// <param name="HeadWidth">Width of a head.</param>
/// <param name="Inner">Width of the MLP (or of an expert); openelm: of the last block.</param>
/// <param name="Vocabulary">Tokens.</param>
/// <param name="Context">Positions that the model was made for.</param>
/// <param name="Tied">The head is the embedding.</param>
/// <param name="Shared">recursive: blocks that have weights of their own; the others run them again.</param>
/// <param name="Experts">recursive, llama (Mixtral): experts in place of the MLP, two of them used; 0 = none.</param>
public sealed record SyntheticShape(string Architecture, int Blocks, int Width, int Heads, int KvHeads, int HeadWidth, int Inner, int Vocabulary, int Context, bool Tied, int Shared = 0, int Experts = 0)
{
    /// <summary>The <c>norm</c> section of a llama or gpt2 model as JSON, or null for the architecture's own norms.</summary>
    public string? Norm { get; init; }

    /// <summary>Shapes by name.</summary>
    public static IReadOnlyDictionary<string, SyntheticShape> Known { get; } = new Dictionary<string, SyntheticShape>(StringComparer.Ordinal)
    {
        ["llama-1b"] = new("llama", 16, 2048, 32, 8, 64, 8192, 128256, 131072, true),
        ["llama-3b"] = new("llama", 28, 3072, 24, 8, 128, 8192, 128256, 131072, true),
        ["llama-7b"] = new("llama", 32, 4096, 32, 32, 128, 11008, 32000, 4096, false),
        ["llama-8b"] = new("llama", 32, 4096, 32, 8, 128, 14336, 128256, 131072, false),
        ["tinyllama-1.1b"] = new("llama", 22, 2048, 32, 4, 64, 5632, 32000, 2048, false),
        ["mistral-7b"] = new("llama", 32, 4096, 32, 8, 128, 14336, 32768, 32768, false),
        ["mixtral-8x7b"] = new("llama", 32, 4096, 32, 8, 128, 14336, 32000, 32768, false, Experts: 8),
        ["smollm2-135m"] = new("llama", 30, 576, 9, 3, 64, 1536, 49152, 8192, true),
        ["smollm2-360m"] = new("llama", 32, 960, 15, 5, 64, 2560, 49152, 8192, true),
        ["smollm2-1.7b"] = new("llama", 24, 2048, 32, 32, 64, 8192, 49152, 8192, true),
        ["qwen2.5-0.5b"] = new("qwen2", 24, 896, 14, 2, 64, 4864, 151936, 32768, true),
        ["qwen2.5-1.5b"] = new("qwen2", 28, 1536, 12, 2, 128, 8960, 151936, 32768, true),
        ["qwen2.5-7b"] = new("qwen2", 28, 3584, 28, 4, 128, 18944, 152064, 32768, false),
        ["qwen3-0.6b"] = new("qwen3", 28, 1024, 16, 8, 128, 3072, 151936, 40960, true),
        ["qwen3-1.7b"] = new("qwen3", 28, 2048, 16, 8, 128, 6144, 151936, 40960, true),
        ["qwen3-4b"] = new("qwen3", 36, 2560, 32, 8, 128, 9728, 151936, 40960, true),
        ["qwen3-8b"] = new("qwen3", 36, 4096, 32, 8, 128, 12288, 151936, 40960, false),
        ["gpt2-124m"] = new("gpt2", 12, 768, 12, 12, 64, 3072, 50257, 1024, true),
        ["gpt3-small"] = Gpt3(12, 768, 12),
        ["gpt3-medium"] = Gpt3(24, 1024, 16),
        ["gpt3-large"] = Gpt3(24, 1536, 16),
        ["gpt3-xl"] = Gpt3(24, 2048, 16),
        ["gpt3-2.7b"] = Gpt3(32, 2560, 32),
        ["gpt3-6.7b"] = Gpt3(32, 4096, 32),
        ["gpt3-13b"] = Gpt3(40, 5120, 40),
        ["gpt2-355m"] = new("gpt2", 24, 1024, 16, 16, 64, 4096, 50257, 1024, true),
        ["gpt2-774m"] = new("gpt2", 36, 1280, 20, 20, 64, 5120, 50257, 1024, true),
        ["gpt2-1.5b"] = new("gpt2", 48, 1600, 25, 25, 64, 6400, 50257, 1024, true),
        ["pythia-70m"] = new("gptneox", 6, 512, 8, 8, 64, 2048, 50304, 2048, false),
        ["pythia-160m"] = new("gptneox", 12, 768, 12, 12, 64, 3072, 50304, 2048, false),
        ["pythia-410m"] = new("gptneox", 24, 1024, 16, 16, 64, 4096, 50304, 2048, false),
        ["pythia-1b"] = new("gptneox", 16, 2048, 8, 8, 256, 8192, 50304, 2048, false),
        ["pythia-1.4b"] = new("gptneox", 24, 2048, 16, 16, 128, 8192, 50304, 2048, false),
        ["pythia-2.8b"] = new("gptneox", 32, 2560, 32, 32, 80, 10240, 50304, 2048, false),
        ["openelm-270m"] = new("openelm", 16, 1280, 20, 5, 64, 5120, 32000, 2048, true),
        ["openelm-1.1b"] = new("openelm", 28, 2048, 32, 8, 64, 8192, 32000, 2048, true),
        ["recursive-135m"] = new("recursive", 30, 1024, 16, 4, 64, 2816, 49152, 8192, true, Shared: 6),
        ["widenet-12"] = new("recursive", 12, 768, 12, 12, 64, 3072, 32000, 2048, true, Shared: 1, Experts: 4),
    };

    /// <summary>Architectures that can be made.</summary>
    public static IReadOnlyList<string> Architectures { get; } = ["gpt2", "gptneox", "llama", "openelm", "qwen2", "qwen3", "recursive"];

    /// <summary>GPT-2 and GPT-NeoX: LayerNorm, biases, fused q, k, v and a plain MLP.</summary>
    internal bool IsPlain => Architecture is "gpt2" or "gptneox";

    /// <summary>Blocks that have matrices of their own.</summary>
    internal int OwnBlocks => Architecture == "recursive" ? Shared : Blocks;

    /// <summary>Query heads of a block: openelm grows from half of them, in whole groups.</summary>
    internal int HeadsOf(int block) => Architecture == "openelm" ? KvHeadsOf(block) * (Heads / KvHeads) : Heads;

    /// <summary>Key heads of a block.</summary>
    internal int KvHeadsOf(int block) => Architecture == "openelm" ? Math.Max(1, (int)Math.Round(KvHeads * Growth(block, 0.5), MidpointRounding.AwayFromZero)) : KvHeads;

    /// <summary>Width of the MLP of a block: openelm grows from an eighth, in steps of 256 (or of the last block's width, if that is less).</summary>
    internal int InnerOf(int block)
    {
        if (Architecture != "openelm") return Inner;
        int step = Math.Min(256, Inner);
        return Math.Max(step, (int)Math.Round(Inner * Growth(block, 0.125) / step, MidpointRounding.AwayFromZero) * step);
    }

    // Brown et al. 2020 (arXiv 2005.14165), table 2.1, with heads that divide the width.
    private static SyntheticShape Gpt3(int blocks, int width, int heads) => new("gpt2", blocks, width, heads, heads, width / heads, 4 * width, 50257, 2048, true);

    /// <summary>Throws <see cref="ArgumentException"/> naming what does not fit.</summary>
    public void Validate()
    {
        if (!Architectures.Contains(Architecture)) throw new ArgumentException($"architecture '{Architecture}' can't be made (can be: {string.Join(", ", Architectures)})");
        foreach (var (name, value) in new[] { ("blocks", Blocks), ("width", Width), ("heads", Heads), ("key heads", KvHeads), ("head width", HeadWidth), ("inner width", Inner), ("vocabulary", Vocabulary), ("context", Context) })
            if (value is < 1 or > 1 << 24) throw new ArgumentException($"{name} = {value} is not between 1 and 2^24");
        if (Norm is not null && Architecture is not ("llama" or "gpt2")) throw new ArgumentException($"{Architecture} has no norm section (llama and gpt2 have)");
        if (Heads % KvHeads != 0) throw new ArgumentException($"{KvHeads} key heads don't divide {Heads} heads");
        if (HeadWidth % 2 != 0 && Architecture != "gpt2") throw new ArgumentException($"head width {HeadWidth} is odd, so it can't be rotated");
        if (IsPlain && (KvHeads != Heads || Heads * HeadWidth != Width)) throw new ArgumentException($"{Architecture} needs as many key heads as heads and heads · head width = width");
        if (Architecture == "recursive" ? Shared < 1 || Shared > Blocks : Shared != 0) throw new ArgumentException($"shared blocks = {Shared} don't fit {Blocks} blocks of architecture {Architecture}");
        if (Experts != 0 && (Architecture is not ("recursive" or "llama") || Experts is < 2 or > 1 << 16)) throw new ArgumentException($"experts = {Experts}: give 2 or more, for architecture llama or recursive");
    }

    private double Growth(int block, double first) => Blocks == 1 ? 1 : first + (1 - first) * block / (Blocks - 1);
}
