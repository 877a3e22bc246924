using System.Collections.Immutable;

namespace Tare.Generation;

/// <summary>How the next token is chosen: logit bias, then <see cref="Samplers"/> in their order, then a draw. A temperature of 0 takes the best token after bias, penalties and DRY.</summary>
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

    /// <summary>Only tokens whose logit lies within this many standard deviations below the largest (Tang et al. 2024, arXiv 2411.07641); 0 or less = all.</summary>
    public double TopNSigma { get; init; } = -1;

    /// <summary>Only the tokens of most typical surprise that together exceed this probability (Meister et al. 2022, arXiv 2202.00666); 1 = all.</summary>
    public double TypicalP { get; init; } = 1;

    /// <summary>How often the top choices are excluded; 0 = never.</summary>
    public double XtcProbability { get; init; }

    /// <summary>Probability from which on a token is a top choice; above 0.5 there is never more than one.</summary>
    public double XtcThreshold { get; init; } = 0.1;

    /// <summary>Strength of the penalty on tokens that would prolong a repetition; 0 = off.</summary>
    public double DryMultiplier { get; init; }

    /// <summary>Base of DRY's penalty: it grows by this factor with every token of the repeated sequence.</summary>
    public double DryBase { get; init; } = 1.75;

    /// <summary>Repeated sequences shorter than this are allowed.</summary>
    public int DryAllowedLength { get; init; } = 2;

    /// <summary>How many tokens DRY looks back at, prompt included; −1 = all, 0 = off.</summary>
    public int DryPenaltyTokens { get; init; } = -1;

    /// <summary>Texts that end a repetition for DRY; a token that holds one is a breaker.</summary>
    public ImmutableArray<string> DrySequenceBreakers { get; init; } = ["\n", ":", "\"", "*"];

    /// <summary>2 = Mirostat 2.0 in place of the chain (only logit bias and temperature act before it); 0 = off.</summary>
    public int Mirostat { get; init; }

    /// <summary>Surprise in bits that Mirostat aims at (τ).</summary>
    public double MirostatTarget { get; init; } = 5;

    /// <summary>How fast Mirostat learns (η).</summary>
    public double MirostatRate { get; init; } = 0.1;

    /// <summary>Added to the logits of tokens, before all else; −∞ forbids a token.</summary>
    public ImmutableArray<KeyValuePair<int, double>> LogitBias { get; init; } = [];

    /// <summary>The samplers of the chain, in order; one that is not named does not act.</summary>
    public ImmutableArray<SamplerKind> Samplers { get; init; } = SamplerOrder.Default;

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
        Check(double.IsFinite(TopNSigma), nameof(TopNSigma), TopNSigma, "finite");
        Check(TypicalP is > 0 and <= 1, nameof(TypicalP), TypicalP, "in (0, 1]");
        Check(XtcProbability is >= 0 and <= 1, nameof(XtcProbability), XtcProbability, "in [0, 1]");
        Check(XtcThreshold is >= 0 and <= 1, nameof(XtcThreshold), XtcThreshold, "in [0, 1]");
        Check(DryMultiplier >= 0 && double.IsFinite(DryMultiplier), nameof(DryMultiplier), DryMultiplier, "≥ 0");
        Check(DryBase >= 1 && double.IsFinite(DryBase), nameof(DryBase), DryBase, "≥ 1");
        Check(DryAllowedLength >= 1, nameof(DryAllowedLength), DryAllowedLength, "≥ 1");
        Check(DryPenaltyTokens >= -1, nameof(DryPenaltyTokens), DryPenaltyTokens, "≥ −1");
        Check(Mirostat is 0 or 2, nameof(Mirostat), Mirostat, "0 or 2");
        Check(MirostatTarget >= 0 && double.IsFinite(MirostatTarget), nameof(MirostatTarget), MirostatTarget, "≥ 0");
        Check(MirostatRate >= 0 && double.IsFinite(MirostatRate), nameof(MirostatRate), MirostatRate, "≥ 0");
        foreach (var (id, bias) in LogitBias)
        {
            Check(id >= 0, nameof(LogitBias), id, "a token id ≥ 0");
            Check(bias < double.PositiveInfinity, $"{nameof(LogitBias)} of token {id}", bias, "a number or −∞");
        }
        if (DrySequenceBreakers.Any(string.IsNullOrEmpty)) throw new ArgumentException($"{nameof(DrySequenceBreakers)} = '' must not be empty");
        if (Samplers.Distinct().Count() != Samplers.Length) throw new ArgumentException($"{nameof(Samplers)} = {string.Join(", ", Samplers)} must name each sampler once");
    }

    private static void Check(bool condition, string name, double value, string range)
    {
        if (!condition) throw new ArgumentException($"{name} = {value} must be {range}");
    }
}
