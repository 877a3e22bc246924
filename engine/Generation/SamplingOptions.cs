namespace Tare.Generation;

/// <summary>How the next token is chosen. Applied in this order: penalties, top-k, top-p, min-p, temperature, draw.</summary>
public sealed record SamplingOptions
{
    /// <summary>Always the most probable token.</summary>
    public static SamplingOptions Greedy { get; } = new() { Temperature = 0 };

    /// <summary>Logits are divided by it; 0 = always the most probable token.</summary>
    public double Temperature { get; init; } = 0.8;

    /// <summary>Only the k most probable tokens; 0 = all.</summary>
    public int TopK { get; init; } = 40;

    /// <summary>Only the most probable tokens that together reach this probability (Holtzman et al. 2020, arXiv 1904.09751); 1 = all.</summary>
    public double TopP { get; init; } = 0.95;

    /// <summary>Only tokens of at least this share of the best one's probability (Nguyen et al. 2024, arXiv 2407.01082); 0 = all.</summary>
    public double MinP { get; init; } = 0.05;

    /// <summary>Positive logits of recent tokens are divided by it, negative ones multiplied (Keskar et al. 2019, arXiv 1909.05858); 1 = off.</summary>
    public double RepeatPenalty { get; init; } = 1;

    /// <summary>Subtracted from a recent token's logit for each time that it occurred.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Subtracted once from a recent token's logit.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>How many tokens are recent, prompt included; −1 = all.</summary>
    public int PenaltyTokens { get; init; } = 64;

    /// <summary>The same seed, prompt and options give the same tokens, whatever else runs; null = a random one.</summary>
    public ulong? Seed { get; init; }

    /// <summary>Throws <see cref="ArgumentException"/> naming the option that is out of range.</summary>
    public void Validate()
    {
        Check(Temperature >= 0 && double.IsFinite(Temperature), nameof(Temperature), Temperature, "≥ 0");
        Check(TopK >= 0, nameof(TopK), TopK, "≥ 0");
        Check(TopP is > 0 and <= 1, nameof(TopP), TopP, "in (0, 1]");
        Check(MinP is >= 0 and <= 1, nameof(MinP), MinP, "in [0, 1]");
        Check(RepeatPenalty > 0 && double.IsFinite(RepeatPenalty), nameof(RepeatPenalty), RepeatPenalty, "> 0");
        Check(double.IsFinite(FrequencyPenalty), nameof(FrequencyPenalty), FrequencyPenalty, "finite");
        Check(double.IsFinite(PresencePenalty), nameof(PresencePenalty), PresencePenalty, "finite");
        Check(PenaltyTokens >= -1, nameof(PenaltyTokens), PenaltyTokens, "≥ −1");
    }

    private static void Check(bool condition, string name, double value, string range)
    {
        if (!condition) throw new ArgumentException($"{name} = {value} must be {range}");
    }
}
