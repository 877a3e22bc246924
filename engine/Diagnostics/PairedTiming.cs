using System.Diagnostics;

namespace Tare.Diagnostics;

/// <summary>How much faster one piece of work is than another.</summary>
/// <param name="Speedup">Median over the rounds of the baseline's time divided by the variant's; above 1 the variant is faster.</param>
/// <param name="Low">Lower end of the 95% interval of the median.</param>
/// <param name="High">Upper end.</param>
/// <param name="BaselineSeconds">Median time of the baseline.</param>
/// <param name="VariantSeconds">Median time of the variant.</param>
public readonly record struct PairedTime(double Speedup, double Low, double High, double BaselineSeconds, double VariantSeconds)
{
    /// <summary>What the interval says: faster, slower, or no difference that was seen.</summary>
    public string Verdict => Low > 1 ? "faster" : High < 1 ? "slower" : "no gain";
}

/// <summary>
/// Times two pieces of work in turn, in the order A B B A, so that a machine that grows slower or faster burdens both alike. Each round gives one ratio; the interval is the bootstrap percentile interval of
/// their median (Efron 1979), with a fixed seed.
/// </summary>
public static class PairedTiming
{
    private const int Resamples = 2000;

    /// <summary>Runs both once to warm up, then in <paramref name="rounds"/> rounds of four runs.</summary>
    public static PairedTime Measure(Action baseline, Action variant, int rounds, CancellationToken cancel = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rounds, 1);
        baseline();
        variant();
        double[] a = new double[rounds], b = new double[rounds], ratios = new double[rounds];
        for (int r = 0; r < rounds; r++)
        {
            cancel.ThrowIfCancellationRequested();
            double first = Seconds(baseline), second = Seconds(variant), third = Seconds(variant), fourth = Seconds(baseline);
            (a[r], b[r]) = ((first + fourth) / 2, (second + third) / 2);
            ratios[r] = a[r] / b[r];
        }
        var (low, high) = Interval(ratios);
        return new PairedTime(Median(ratios), low, high, Median(a), Median(b));
    }

    /// <summary>The median of values; of an even number the middle between the two in the middle.</summary>
    public static double Median(ReadOnlySpan<double> values)
    {
        double[] sorted = values.ToArray();
        Array.Sort(sorted);
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    // Seconds, never 0: a clock that did not move counts one of its ticks.
    private static double Seconds(Action work)
    {
        long start = Stopwatch.GetTimestamp();
        work();
        return Math.Max(1, Stopwatch.GetTimestamp() - start) / (double)Stopwatch.Frequency;
    }

    /// <summary>The bootstrap percentile interval (95%) of the median.</summary>
    public static (double Low, double High) Interval(double[] values)
    {
        var random = new Random(1);
        double[] medians = new double[Resamples], sample = new double[values.Length];
        for (int i = 0; i < Resamples; i++)
        {
            for (int k = 0; k < sample.Length; k++) sample[k] = values[random.Next(values.Length)];
            medians[i] = Median(sample);
        }
        Array.Sort(medians);
        return (medians[(int)(0.025 * (Resamples - 1))], medians[(int)Math.Ceiling(0.975 * (Resamples - 1))]);
    }
}
