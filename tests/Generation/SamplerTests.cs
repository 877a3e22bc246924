using Tare.Diagnostics;
using Tare.Generation;

namespace Tare.Tests.Generation;

/// <summary>Samplers against their definitions: which tokens may come, and how often (χ²).</summary>
public sealed class SamplerTests
{
    private static readonly float[] Logits = [1.5f, 0.2f, -1, 3, 2.9f, -4, 0.7f, 2.9f];
    private static readonly SamplingOptions Plain = new() { Temperature = 1, TopK = 0, TopP = 1, MinP = 0, Seed = 1 };

    [Fact]
    public void Temperature_alone_draws_from_the_softmax()
    {
        foreach (double temperature in new[] { 0.5, 1, 2 }) Fits(Plain with { Temperature = temperature }, Softmax(Logits, temperature));
    }

    [Fact]
    public void Top_k_keeps_the_best_and_prefers_the_lower_id_in_ties()
    {
        Fits(Plain with { TopK = 2 }, Softmax(Keep(3, 4), 1));
        Fits(Plain with { TopK = 5 }, Softmax(Keep(0, 3, 4, 6, 7), 1));
        Fits(Plain with { TopK = 100 }, Softmax(Logits, 1));
    }

    [Fact]
    public void Top_p_keeps_the_smallest_set_that_reaches_it()
    {
        double[] p = Softmax(Logits, 1);
        Fits(Plain with { TopP = p[3] - 1e-6 }, Softmax(Keep(3), 1));
        Fits(Plain with { TopP = p[3] + 1e-6 }, Softmax(Keep(3, 4), 1));
        Fits(Plain with { TopP = p[3] + p[4] + p[7] + 1e-6 }, Softmax(Keep(0, 3, 4, 7), 1));
    }

    [Fact]
    public void Min_p_keeps_what_reaches_a_share_of_the_best()
    {
        Fits(Plain with { MinP = 0.8 }, Softmax(Keep(3, 4, 7), 1));
        Fits(Plain with { MinP = Math.Exp(1.5 - 3) - 1e-6 }, Softmax(Keep(0, 3, 4, 7), 1));
        Fits(Plain with { MinP = 0.2, Temperature = 3 }, Softmax(Keep(0, 3, 4, 7), 3));
    }

    [Fact]
    public void Penalties_follow_their_formulas()
    {
        float[] changed = [.. Logits];
        changed[3] = (float)(3 / 1.5 - 2 * 0.25 - 0.1);
        changed[2] = (float)(-1 * 1.5 - 0.25 - 0.1);
        Fits(Plain with { RepeatPenalty = 1.5, FrequencyPenalty = 0.25, PresencePenalty = 0.1 }, Softmax(changed, 1), [3, 2, 3]);
        changed[2] = Logits[2]; // out of the last two
        changed[3] = (float)(3 / 1.5);
        changed[4] = (float)(2.9 / 1.5);
        Fits(Plain with { RepeatPenalty = 1.5, PenaltyTokens = 2 }, Softmax(changed, 1), [2, 3, 4]);
    }

    [Fact]
    public void Greedy_takes_the_first_of_the_largest()
    {
        new Sampler(SamplingOptions.Greedy, 8).Sample(Logits, [1]).ShouldBe(3);
        new Sampler(SamplingOptions.Greedy, 3).Sample([1, 2, 2], [1]).ShouldBe(1);
        new Sampler(SamplingOptions.Greedy with { PresencePenalty = 2 }, 8).Sample(Logits, [3]).ShouldBe(4);
        new Sampler(SamplingOptions.Greedy, 3).Sample([float.NaN, float.NaN, float.NaN], [1]).ShouldBe(0);
    }

    [Fact]
    public void A_draw_depends_on_seed_and_position_alone()
    {
        Sampler a = new(Plain with { Seed = 9 }, 8), b = new(Plain with { Seed = 9 }, 8), other = new(Plain with { Seed = 10 }, 8);
        int[] past = [1, 2, 3], first = [.. Enumerable.Range(1, 60).Select(n => a.Sample(Logits, new int[n]))];
        b.Sample(Logits, past);
        Enumerable.Range(1, 60).Select(n => b.Sample(Logits, new int[n])).ShouldBe(first);
        Enumerable.Range(1, 60).Select(n => other.Sample(Logits, new int[n])).ShouldNotBe(first);
    }

    [Fact]
    public void A_thousand_draws_allocate_nothing()
    {
        var sampler = new Sampler(new SamplingOptions { Seed = 1, RepeatPenalty = 1.1 }, 8);
        int[] past = [1, 2, 3, 3];
        // The runtime itself allocates now and then where it compiles a method anew; what a draw allocates would show in every round.
        Enumerable.Range(0, 5).Min(_ =>
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 1000; i++) sampler.Sample(Logits, past);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }).ShouldBe(0);
    }

    [Fact]
    public void Log_probabilities_are_of_the_model_itself()
    {
        double[] p = Softmax(Logits, 1);
        LogProbability.Of(Logits, 4).ShouldBe(Math.Log(p[4]), 1e-6);
        var top = Sampler.Top(Logits, 3);
        top.Select(t => t.Id).ShouldBe([3, 4, 7]);
        top[0].LogProbability.ShouldBe(Math.Log(p[3]), 1e-6);
    }

    [Theory]
    [InlineData("Temperature")]
    [InlineData("TopP")]
    [InlineData("MinP")]
    [InlineData("RepeatPenalty")]
    public void Options_out_of_range_are_refused_by_name(string name)
    {
        var options = name switch
        {
            "Temperature" => Plain with { Temperature = -1 },
            "TopP" => Plain with { TopP = 0 },
            "MinP" => Plain with { MinP = 1.5 },
            _ => Plain with { RepeatPenalty = double.NaN },
        };
        Should.Throw<ArgumentException>(options.Validate).Message.ShouldContain(name);
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

    private static double[] Softmax(float[] logits, double temperature)
    {
        double[] e = [.. logits.Select(l => Math.Exp(l / temperature))];
        return [.. e.Select(v => v / e.Sum())];
    }
}
