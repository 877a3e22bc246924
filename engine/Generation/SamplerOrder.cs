using System.Collections.Immutable;

namespace Tare.Generation;

/// <summary>A sampler of the chain.</summary>
public enum SamplerKind
{
    /// <summary>Repeat, frequency and presence penalties.</summary>
    Penalties,

    /// <summary>Don't repeat yourself.</summary>
    Dry,

    /// <summary>Top-nσ.</summary>
    TopNSigma,

    /// <summary>Top-k.</summary>
    TopK,

    /// <summary>Locally typical.</summary>
    TypicalP,

    /// <summary>Top-p.</summary>
    TopP,

    /// <summary>Min-p.</summary>
    MinP,

    /// <summary>Exclude top choices.</summary>
    Xtc,

    /// <summary>Temperature.</summary>
    Temperature,
}

/// <summary>The order of samplers, in the two notations of llama.cpp.</summary>
public static class SamplerOrder
{
    private static readonly (SamplerKind Kind, char Letter, string[] Names)[] Known =
    [
        (SamplerKind.Penalties, 'e', ["penalties"]), (SamplerKind.Dry, 'd', ["dry"]), (SamplerKind.TopNSigma, 's', ["top_n_sigma"]), (SamplerKind.TopK, 'k', ["top_k"]), (SamplerKind.TypicalP, 'y', ["typ_p", "typical_p", "typical"]),
        (SamplerKind.TopP, 'p', ["top_p", "nucleus"]), (SamplerKind.MinP, 'm', ["min_p"]), (SamplerKind.Xtc, 'x', ["xtc"]), (SamplerKind.Temperature, 't', ["temperature", "temp"]),
    ];

    /// <summary>Penalties, DRY, top-nσ, top-k, typical, top-p, min-p, XTC, temperature.</summary>
    public static ImmutableArray<SamplerKind> Default { get; } = [.. Known.Select(k => k.Kind)];

    /// <summary>Names separated by semicolons, such as <c>penalties;top_k;temperature</c>. Throws <see cref="ArgumentException"/> for others.</summary>
    public static ImmutableArray<SamplerKind> Parse(string names)
        => [.. names.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(name => Find(k => k.Names.Contains(name.Replace('-', '_').ToLowerInvariant()), name))];

    /// <summary>One letter a sampler, such as <c>edskypmxt</c>. Throws <see cref="ArgumentException"/> for others.</summary>
    public static ImmutableArray<SamplerKind> ParseLetters(string letters) => [.. letters.Select(letter => Find(k => k.Letter == letter, letter.ToString()))];

    private static SamplerKind Find(Func<(SamplerKind Kind, char Letter, string[] Names), bool> matches, string asked)
    {
        foreach (var known in Known)
            if (matches(known)) return known.Kind;
        throw new ArgumentException($"sampler '{asked}' is not known (known: {string.Join(", ", Known.Select(k => $"{k.Names[0]} = {k.Letter}"))})");
    }
}
