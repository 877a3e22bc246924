using Tare.Generation;
using Tare.Generation.Sampling;
using Tare.Tests.Cli;

namespace Tare.Tests.Generation;

/// <summary>The longer chain against the definitions of its samplers: which tokens may come, and how often (χ²).</summary>
public sealed class SamplerChainTests
{
    private static readonly float[] Logits = [1.5f, 0.2f, -1, 3, 2.9f, -4, 0.7f, 2.9f];
    private static readonly SamplingOptions Plain = new() { Temperature = 1, TopK = 0, TopP = 1, MinP = 0, Seed = 1 };

    [Fact]
    public void Top_n_sigma_keeps_what_lies_within_n_deviations_of_the_best()
    {
        double mean = Logits.Average(), deviation = Math.Sqrt(Logits.Select(l => Math.Pow(l - mean, 2)).Average());
        foreach (double n in new[] { 0.3, 0.7, 1.1, 2 }) Fits(Plain with { TopNSigma = n }, Softmax(Where(l => l >= 3 - n * deviation), 1));
        Fits(Plain with { TopNSigma = -1 }, Softmax(Logits, 1));
    }

    [Fact]
    public void Typical_p_keeps_the_tokens_whose_surprise_is_nearest_to_the_entropy()
    {
        double[] p = Softmax(Logits, 1);
        double entropy = -p.Sum(v => v * Math.Log(v));
        int[] order = [.. Enumerable.Range(0, p.Length).OrderBy(i => Math.Abs(-Math.Log(p[i]) - entropy))];
        foreach (double mass in new[] { 0.1, 0.5, 0.9, 0.99 })
        {
            double reached = 0;
            int kept = 0;
            while (kept < order.Length && reached <= mass) reached += p[order[kept++]];
            Fits(Plain with { TypicalP = mass }, Softmax(Keep(order[..kept]), 1));
        }
    }

    [Fact]
    public void Xtc_excludes_all_top_choices_but_the_last_as_often_as_asked()
    {
        double[] all = Softmax(Logits, 1), without = Softmax(Keep(0, 1, 2, 5, 6, 7), 1); // 3, 4 and 7 reach 0.2; 7 stays
        Fits(Plain with { XtcProbability = 1, XtcThreshold = 0.2 }, without);
        Fits(Plain with { XtcProbability = 0.3, XtcThreshold = 0.2 }, [.. all.Zip(without, (a, b) => 0.7 * a + 0.3 * b)]);
        Fits(Plain with { XtcProbability = 1, XtcThreshold = 0.6 }, all);
    }

    [Fact]
    public void Dry_penalizes_what_would_prolong_a_repetition_as_a_plain_search_finds_it()
    {
        var random = new Random(4);
        for (int round = 0; round < 200; round++)
        {
            int[] past = [.. Enumerable.Range(0, random.Next(1, 60)).Select(_ => random.Next(4))];
            var options = Plain with { DryMultiplier = 0.8, DryBase = 1.75, DryAllowedLength = random.Next(1, 4), DryPenaltyTokens = random.Next(3) == 0 ? 12 : -1 };
            var breakers = new HashSet<int>(random.Next(2) == 0 ? [3] : []);
            var candidates = new Candidates(8);
            candidates.Start(Logits);
            new Dry(options, breakers, 8).Apply(candidates, past, default);
            int[] recent = options.DryPenaltyTokens < 0 || options.DryPenaltyTokens > past.Length ? past : past[^options.DryPenaltyTokens..];
            for (int id = 0; id < 8; id++)
            {
                int longest = 0;
                for (int end = 0; end + 1 < recent.Length; end++) // a sequence that ends at `end` and goes on with `id`
                {
                    int length = 0;
                    while (end - length >= 0 && recent[end - length] == recent[^(length + 1)] && !breakers.Contains(recent[^(length + 1)])) length++;
                    if (recent[end + 1] == id) longest = Math.Max(longest, length);
                }
                double penalty = longest >= options.DryAllowedLength ? 0.8 * Math.Pow(1.75, longest - options.DryAllowedLength) : 0;
                ((double)candidates.Logits[id]).ShouldBe(Logits[id] - penalty, 1e-3 * (1 + penalty), $"round {round}, token {id}");
            }
        }
    }

    [Fact]
    public void Mirostat_keeps_the_surprise_near_its_target()
    {
        var random = new Random(8);
        float[] logits = [.. Enumerable.Range(0, 2000).Select(i => -(float)Math.Log(i + 1) * 1.1f + 0.1f * (float)random.NextDouble())];
        double[] p = Softmax(logits, 1);
        foreach (double target in new[] { 2.0, 4 })
        {
            var sampler = new Sampler(Plain with { Mirostat = 2, MirostatTarget = target, MirostatRate = 0.1 }, logits.Length);
            double sum = 0;
            // μ starts at twice the target and settles; the surprise is taken among what is left, so that of the whole is a little higher.
            for (int i = 0; i < 3000; i++)
            {
                int id = sampler.Sample(logits, new int[i + 1]);
                if (i >= 500) sum += -Math.Log2(p[id]);
            }
            (sum / 2500).ShouldBeInRange(target - 0.3, target + 1.5);
        }
        var first = new int[logits.Length];
        for (int seed = 0; seed < 3000; seed++) first[new Sampler(Plain with { Mirostat = 2, MirostatTarget = 2, Seed = (ulong)seed }, logits.Length).Sample(logits, [1])]++;
        for (int id = 0; id < first.Length; id++)
            if (first[id] > 0) (-Math.Log2(p[id])).ShouldBeLessThanOrEqualTo(4 + 1e-4);
    }

    [Fact]
    public void Logit_bias_is_added_before_all_else()
    {
        float[] changed = [.. Logits];
        (changed[3], changed[2]) = (float.NegativeInfinity, 2);
        var options = Plain with { LogitBias = [new(3, double.NegativeInfinity), new(2, 3), new(99, 5)] };
        Fits(options, Softmax(changed, 1));
        new Sampler(options with { Temperature = 0 }, 8).Sample(Logits, [1]).ShouldBe(4);
    }

    [Fact]
    public void The_order_is_the_one_that_is_asked_for()
    {
        var options = Plain with { Temperature = 3, MinP = 0.5 };
        Fits(options with { Samplers = [SamplerKind.MinP, SamplerKind.Temperature] }, Softmax(Where(l => l >= 3 + Math.Log(0.5)), 3));
        Fits(options with { Samplers = [SamplerKind.Temperature, SamplerKind.MinP] }, Softmax(Where(l => l / 3 >= 1 + Math.Log(0.5)), 3));
        Fits(options with { Samplers = [SamplerKind.Temperature], TopK = 1 }, Softmax(Logits, 3));
        float[] changed = [.. Logits];
        changed[3] = 1; // penalized after the cut: still there, no longer the best
        Fits(Plain with { TopK = 2, PresencePenalty = 2, Samplers = [SamplerKind.TopK, SamplerKind.Penalties] }, Softmax([.. changed.Select((l, i) => i is 3 or 4 ? l : float.NegativeInfinity)], 1), [3]);
        SamplerOrder.Parse("penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature").ShouldBe(SamplerOrder.Default);
        SamplerOrder.ParseLetters("edskypmxt").ShouldBe(SamplerOrder.Default);
        SamplerOrder.Parse("temperature; top-k").ShouldBe([SamplerKind.Temperature, SamplerKind.TopK]);
        Should.Throw<ArgumentException>(() => SamplerOrder.Parse("top_k;tail_free")).Message.ShouldContain("'tail_free'");
        Should.Throw<ArgumentException>(() => SamplerOrder.ParseLetters("kz")).Message.ShouldContain("'z'");
    }

    [Fact]
    public void A_thousand_draws_through_every_sampler_allocate_nothing()
    {
        var all = new SamplingOptions { Seed = 1, RepeatPenalty = 1.1, TypicalP = 0.95, TopNSigma = 2, XtcProbability = 0.5, DryMultiplier = 0.8, LogitBias = [new(2, 1)] };
        int[] past = [1, 2, 3, 3, 1, 2, 3];
        foreach (var options in new[] { all, all with { Mirostat = 2 }, all with { Temperature = 0 } })
        {
            var sampler = new Sampler(options, 8, new HashSet<int> { 5 });
            for (int i = 0; i < 50; i++) sampler.Sample(Logits, past);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 1000; i++) sampler.Sample(Logits, past);
            (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBe(0);
        }
    }

    [Theory]
    [InlineData("--typical", "2", "TypicalP = 2")]
    [InlineData("--xtc-probability", "-1", "XtcProbability = -1")]
    [InlineData("--dry-base", "0.5", "DryBase = 0.5")]
    [InlineData("--mirostat", "1", "Mirostat = 1")]
    [InlineData("--samplers", "top_k;magic", "'magic'")]
    [InlineData("--sampling-seq", "kq", "'q'")]
    [InlineData("--logit-bias", "seven", "--logit-bias seven")]
    [InlineData("--samplers", "top_k;top_k", "Samplers")]
    public void Wrong_values_are_usage_errors_that_name_option_and_value(string flag, string value, string part)
    {
        var (code, _, error) = CommandLine.Run("run", "Once", "-n", "1", flag, value);
        code.ShouldBe(2);
        error.ShouldContain(part);
    }

    [Fact]
    public void A_request_can_be_made_with_every_flag()
    {
        string[] arguments = ["run", "Once upon a time", "-n", "8", "-s", "3", "--typical", "0.9", "--top-nsigma", "3", "--xtc-probability", "0.3", "--dry-multiplier", "0.8", "--dry-sequence-breaker", ".", "--sampling-seq", "edskypmxt", "-l", "5-inf"];
        var first = CommandLine.Run(arguments);
        first.ExitCode.ShouldBe(0, first.Error);
        CommandLine.Run(arguments).Output.ShouldBe(first.Output);
        CommandLine.Run("run", "Once upon a time", "-n", "4", "-s", "3", "--mirostat", "2").ExitCode.ShouldBe(0);
    }

    // 99.9th percentile of χ² with up to 7 degrees of freedom: 24.3.
    private static void Fits(SamplingOptions options, double[] expected, int[]? past = null)
    {
        const int draws = 20_000;
        var counts = new int[expected.Length];
        for (int i = 0; i < draws; i++) counts[new Sampler(options with { Seed = (ulong)i }, expected.Length).Sample(Logits, past ?? [1])]++;
        double chi = 0;
        for (int id = 0; id < counts.Length; id++)
            if (expected[id] == 0) counts[id].ShouldBe(0, $"token {id} may not come");
            else chi += (counts[id] - draws * expected[id]) * (counts[id] - draws * expected[id]) / (draws * expected[id]);
        chi.ShouldBeLessThan(24.3);
    }

    private static float[] Keep(params int[] ids) => [.. Logits.Select((l, i) => ids.Contains(i) ? l : float.NegativeInfinity)];

    private static float[] Where(Func<float, bool> stays) => [.. Logits.Select(l => stays(l) ? l : float.NegativeInfinity)];

    private static double[] Softmax(float[] logits, double temperature)
    {
        double[] e = [.. logits.Select(l => Math.Exp(l / temperature))];
        return [.. e.Select(v => v / e.Sum())];
    }
}
