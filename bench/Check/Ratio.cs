using Tare.Diagnostics;

namespace Tare.Bench.Check;

/// <summary>What a path does by a yardstick of the same run; more is better.</summary>
/// <param name="Name">What over what.</param>
/// <param name="Value">Median over the rounds.</param>
/// <param name="Low">Lower end of the median's 95% interval.</param>
/// <param name="High">Upper end.</param>
internal sealed record Ratio(string Name, double Value, double Low, double High)
{
    /// <summary>From one value a round.</summary>
    public static Ratio Of(string name, IReadOnlyCollection<double> rounds)
    {
        double[] values = [.. rounds];
        var (low, high) = PairedTiming.Interval(values);
        return new Ratio(name, PairedTiming.Median(values), low, high);
    }
}
