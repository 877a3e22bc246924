using Tare.Diagnostics;
using Tare.Generation.Sampling;

namespace Tare.Generation;

/// <summary>Chooses tokens for one request: a chain of samplers, then a draw. Buffers are kept, so that choosing allocates nothing.</summary>
internal sealed class Sampler
{
    private readonly SamplingOptions _options;
    private readonly Candidates _candidates;
    private readonly ISamplingStep[] _steps;
    private readonly Mirostat? _mirostat;
    private readonly bool _isGreedy;
    private readonly ulong _seed;

    /// <summary>A sampler over a vocabulary; <paramref name="breakers"/> are the tokens that end DRY's repetitions.</summary>
    public Sampler(SamplingOptions options, int vocabulary, IReadOnlySet<int>? breakers = null)
    {
        options.Validate();
        _options = options;
        _isGreedy = options.Temperature == 0;
        _candidates = new Candidates(vocabulary);
        _mirostat = options.Mirostat == 0 || _isGreedy ? null : new Mirostat(options.MirostatTarget, options.MirostatRate);
        var order = _mirostat is not null ? [SamplerKind.Temperature] : _isGreedy ? options.Samplers.Where(k => k is SamplerKind.Penalties or SamplerKind.Dry) : options.Samplers;
        _steps = [.. order.Select(kind => Create(kind, options, vocabulary, breakers ?? new HashSet<int>())).OfType<ISamplingStep>()];
        _seed = options.Seed ?? (ulong)Random.Shared.NextInt64();
    }

    /// <summary>The token after <paramref name="past"/> (prompt and generated so far), from logits [vocabulary]. Draws depend on the seed and the position only.</summary>
    public int Sample(ReadOnlySpan<float> logits, ReadOnlySpan<int> past)
    {
        var draws = new SamplingDraws(_seed, (ulong)past.Length);
        _candidates.Start(logits);
        foreach (var (id, bias) in _options.LogitBias)
            if ((uint)id < (uint)_candidates.Logits.Length) _candidates.Logits[id] += (float)bias;
        foreach (var step in _steps) step.Apply(_candidates, past, draws);
        if (_isGreedy) return _candidates.Best();
        return _mirostat?.Draw(_candidates, draws) ?? _candidates.Draw(draws.Uniform(SamplingDraws.Token));
    }

    /// <summary>The <paramref name="count"/> most probable tokens with their ln probabilities, best first.</summary>
    public static TokenLogProbability[] Top(ReadOnlySpan<float> logits, int count)
    {
        float[] values = logits.ToArray();
        int[] ids = [.. Enumerable.Range(0, values.Length).OrderByDescending(i => values[i]).Take(count)];
        double normalizer = values[0] - LogProbability.Of(values, 0);
        return Array.ConvertAll(ids, id => new TokenLogProbability(id, values[id] - normalizer));
    }

    // Null for what is switched off.
    private static ISamplingStep? Create(SamplerKind kind, SamplingOptions o, int vocabulary, IReadOnlySet<int> breakers) => kind switch
    {
        SamplerKind.Penalties => o is { RepeatPenalty: 1, FrequencyPenalty: 0, PresencePenalty: 0 } or { PenaltyTokens: 0 } ? null : new Penalties(o),
        SamplerKind.Dry => o.DryMultiplier == 0 || o.DryPenaltyTokens == 0 ? null : new Dry(o, breakers, vocabulary),
        SamplerKind.TopNSigma => o.TopNSigma > 0 ? new TopNSigma(o.TopNSigma) : null,
        SamplerKind.TopK => o.TopK > 0 && o.TopK < vocabulary ? new TopK(o.TopK) : null,
        SamplerKind.TypicalP => o.TypicalP < 1 ? new TypicalP(o.TypicalP, vocabulary) : null,
        SamplerKind.TopP => o.TopP < 1 ? new TopP(o.TopP) : null,
        SamplerKind.MinP => o.MinP > 0 ? new MinP(o.MinP) : null,
        SamplerKind.Xtc => o.XtcProbability > 0 ? new Xtc(o.XtcProbability, o.XtcThreshold) : null,
        SamplerKind.Temperature => o.Temperature.Equals(1.0) ? null : new Temperature(o.Temperature),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "is not a sampler"),
    };
}
