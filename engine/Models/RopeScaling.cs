using Tare.Graphs;

namespace Tare.Models;

/// <summary>
/// Reads rotary settings in both config dialects (<c>rope_theta</c> with <c>rope_scaling</c>, or <c>rope_parameters</c>) and in GGUF: default, linear, dynamic NTK, llama3, LongRoPE, and YaRN
/// (Peng et al. 2023, arXiv 2309.00071).
/// </summary>
/// <remarks>
/// GGUF: a tensor <c>rope_freqs</c> of divisors goes with any kind; a factor without a kind is linear; <c>rope.scaling.attn_factor</c> multiplies YaRN's magnitude and is LongRoPE's; where
/// <c>rope.scaling.yarn_log_multiplier</c> is there, the magnitude is 1 and the scores are scaled instead.
/// </remarks>
internal static class RopeScaling
{
    private const int MaximumHeadWidth = 1 << 16;

    /// <summary>The rotation of heads; <paramref name="rotated"/> elements of each from <paramref name="offset"/> on.</summary>
    public static RopeSpec Read(Config config, WeightSource weights, int heads, int headWidth, int rotated, RopePairing pairing, int offset = 0, double defaultBase = 10000, string? layerType = null, bool truncate = true)
    {
        if (headWidth > MaximumHeadWidth || rotated <= 0 || rotated % 2 != 0 || offset + rotated > headWidth) throw config.Error("rope", $"{rotated} rotated elements of {headWidth}");
        var parameters = config.Section("rope_parameters");
        if (layerType is not null) parameters = parameters?.Section(layerType) ?? parameters; // one section a kind of layer
        var scaling = parameters ?? config.Section("rope_scaling");
        double theta = parameters?.FindFloat("rope_theta") ?? config.FindFloat("rope_theta", "rope.freq_base") ?? config.FindFloat("rotary_emb_base") ?? defaultBase;
        if (theta <= 0) throw config.Error("rope_theta", $"{theta} is not > 0");
        double factor = scaling?.FindFloat("factor") ?? config.FindFloat(null, "rope.scaling.factor") ?? config.FindFloat(null, "rope.scale_linear") ?? 1;
        bool hasLong = weights.Find(null, "rope_factors_long.weight") is not null; // no key of these files names the kind
        string kind = hasLong ? "longrope" : scaling?.FindString("rope_type") ?? scaling?.FindString("type") ?? config.FindString(null, "rope.scaling.type") ?? (config.IsGguf ? "linear" : "default");
        double[] frequencies = [.. Enumerable.Range(0, rotated / 2).Select(i => Math.Pow(theta, -2.0 * i / rotated))];
        RopeSpec Spec(IEnumerable<double> table, double magnitude = 1, LengthDependentRope? dynamic = null) => new(heads, headWidth, offset, pairing, [.. table], magnitude, dynamic);

        if (weights.Find(null, "rope_freqs.weight") is { } divisors)
        {
            float[] d = divisors.ToVector();
            if (d.Length != frequencies.Length || d.Any(v => !(v > 0))) throw config.Error("rope_freqs.weight", $"{d.Length} divisors for {frequencies.Length} frequencies, or one is not > 0");
            for (int i = 0; i < d.Length; i++) frequencies[i] /= d[i];
        }
        IEnumerable<double> Recorded(IEnumerable<double> scaled) // as divisors of the plain frequencies
        {
            double[] table = [.. scaled];
            config.RecordTable("rope_freqs.weight", frequencies.Select((f, i) => f / table[i]));
            return table;
        }
        int maximum = config.FindInt("max_position_embeddings", "context_length") ?? 2048;
        int original = scaling?.FindInt("original_max_position_embeddings") ?? config.FindInt("original_max_position_embeddings", "rope.scaling.original_context_length") ?? maximum;
        if (!(factor > 0) || original <= 0) throw config.Error("rope_scaling", $"factor {factor}, original length {original}");
        if (!config.IsGguf) Record(config, scaling, kind, theta, factor, original);
        return kind switch
        {
            "default" or "none" => Spec(frequencies),
            "linear" => Spec(frequencies.Select(f => f / factor)),
            "dynamic" => Spec(frequencies, dynamic: new DynamicRope(theta, factor, maximum)),
            "llama3" when scaling is not null => Spec(Recorded(Llama3(frequencies, factor, scaling.Float("low_freq_factor"), scaling.Float("high_freq_factor"), original))),
            "longrope" or "su" => LongRope(config, weights, scaling, frequencies, maximum, original, Spec),
            "yarn" => Spec(Yarn(config, frequencies, theta, factor, original, scaling, truncate), YarnMagnitude(scaling, config, factor)),
            _ => throw config.Error("rope_scaling", $"type '{kind}' is not known (known: default, linear, dynamic, llama3, longrope, yarn)"),
        };
    }

    // What a GGUF file says of the scaling. Divisors (llama3) and the two tables (longrope) are tensors there, and no key names those kinds.
    private static void Record(Config config, Config? scaling, string kind, double theta, double factor, int original)
    {
        config.Record("rope.freq_base", theta);
        if (kind is not ("linear" or "yarn" or "longrope")) return;
        if (kind != "longrope")
        {
            config.Record("rope.scaling.type", kind);
            config.Record("rope.scaling.factor", factor);
        }
        if (kind != "linear") config.Record("rope.scaling.original_context_length", original);
        foreach (var (key, gguf) in new[] { ("beta_fast", "rope.scaling.yarn_beta_fast"), ("beta_slow", "rope.scaling.yarn_beta_slow") })
            if (kind == "yarn" && scaling?.FindFloat(key) is double beta) config.Record(gguf, beta);
    }

    /// <summary>Plain rotary positions of a base, without scaling.</summary>
    public static RopeSpec Plain(HeadLayout heads, RopePairing pairing, double theta)
        => new(heads.Heads, heads.Width, 0, pairing, [.. Enumerable.Range(0, heads.Width / 2).Select(i => Math.Pow(theta, -2.0 * i / heads.Width))]);

    // Two tables of divisors, for sequences up to and beyond the original length; cos and sin grow by √(1 + ln s / ln original), s = maximum / original.
    private static RopeSpec LongRope(Config config, WeightSource weights, Config? scaling, double[] frequencies, int maximum, int original, Func<IEnumerable<double>, double, LengthDependentRope?, RopeSpec> spec)
    {
        double[] Divisors(string key, string gguf) => (config.IsGguf ? weights.Find(null, gguf) is { } w ? Array.ConvertAll(w.ToVector(), v => (double)v) : null : scaling?.FindFloats(key)) switch
        {
            { } d when d.Length == frequencies.Length && d.All(v => v > 0) => d,
            { } d => throw config.Error(key, $"{d.Length} divisors for {frequencies.Length} frequencies, or one is not > 0"),
            null => throw config.Error(key, "is missing"),
        };
        double[] longer = Divisors("long_factor", "rope_factors_long.weight"), shorter = Divisors("short_factor", "rope_factors_short.weight");
        double ratio = (double)maximum / original;
        double magnitude = scaling?.FindFloat("attention_factor") ?? config.FindFloat(null, "rope.scaling.attn_factor") ?? (ratio <= 1 ? 1 : Math.Sqrt(1 + Math.Log(ratio) / Math.Log(original)));
        config.RecordTable("rope_factors_long.weight", longer);
        config.RecordTable("rope_factors_short.weight", shorter);
        config.Record("rope.scaling.attn_factor", magnitude);
        return spec(frequencies.Select((f, i) => f / shorter[i]), magnitude, new LongRope(original, [.. frequencies.Select((f, i) => f / longer[i])]));
    }

    // Wavelengths longer than original / low are slowed by the factor, shorter than original / high stay, between them a linear blend.
    private static IEnumerable<double> Llama3(double[] frequencies, double factor, double low, double high, int original) => frequencies.Select(f =>
    {
        double wavelength = 2 * Math.PI / f;
        if (wavelength < original / high) return f;
        if (wavelength > original / low) return f / factor;
        double smooth = (original / wavelength - low) / (high - low);
        return (1 - smooth) * f / factor + smooth * f;
    });

    // Pairs that turn more than beta_fast times over the original length stay, those below beta_slow are interpolated, between them a ramp over the pair's index.
    private static IEnumerable<double> Yarn(Config config, double[] frequencies, double theta, double factor, int original, Config? scaling, bool truncate)
    {
        double fast = scaling?.FindFloat("beta_fast") ?? config.FindFloat(null, "rope.scaling.yarn_beta_fast") ?? 32, slow = scaling?.FindFloat("beta_slow") ?? config.FindFloat(null, "rope.scaling.yarn_beta_slow") ?? 1;
        int rotated = 2 * frequencies.Length;
        double Pair(double turns) => rotated * Math.Log(original / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
        double low = Pair(fast), high = Pair(slow);
        if (scaling?.FindBool("truncate") ?? truncate) (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, rotated - 1));
        if (low.Equals(high)) high += 0.001;
        return frequencies.Select((f, i) =>
        {
            double kept = 1 - Math.Clamp((i - low) / (high - low), 0, 1);
            return f / factor * (1 - kept) + f * kept;
        });
    }

    private static double YarnMagnitude(Config? scaling, Config config, double factor)
    {
        if (scaling?.FindFloat("attention_factor") is double given) return given;
        double Scale(double m) => factor <= 1 ? 1 : 0.1 * m * Math.Log(factor) + 1;
        if (config.IsGguf) return (config.FindFloat(null, "rope.scaling.attn_factor") ?? 1) * (config.FindFloat(null, "rope.scaling.yarn_log_multiplier") is > 0 ? 1 : Scale(1));
        return scaling?.FindFloat("mscale") is double one && scaling.FindFloat("mscale_all_dim") is double all && one > 0 && all > 0 ? Scale(one) / Scale(all) : Scale(1);
    }
}
