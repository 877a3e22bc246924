namespace Tare.Generation.Sampling;

/// <summary>One sampler of a chain: changes logits or drops candidates.</summary>
internal interface ISamplingStep
{
    /// <summary>Acts on the candidates for the token after <paramref name="past"/>.</summary>
    void Apply(Candidates candidates, ReadOnlySpan<int> past, SamplingDraws draws);
}

/// <summary>Random numbers of one position: a function of seed, position and the number of the draw, so that company, chunks and order of requests change nothing.</summary>
internal readonly record struct SamplingDraws(ulong Seed, ulong Position)
{
    /// <summary>The draw that chooses the token.</summary>
    public const uint Token = 0;

    /// <summary>The draw that decides whether top choices are excluded.</summary>
    public const uint Exclusion = 1;

    /// <summary>A uniform number in [0, 1).</summary>
    public double Uniform(uint draw) => CounterRandom.Uniform(Seed, Position, draw);
}
