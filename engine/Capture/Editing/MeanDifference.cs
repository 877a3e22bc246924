using Tare.Capture.Statistics;

namespace Tare.Capture.Editing;

/// <summary>Difference of means: the simplest steering vector, from two statistics files with channels.</summary>
public static class MeanDifference
{
    /// <summary>mean(positive) − mean(negative) of a site over a group of rows; null = all but position 0. Throws <see cref="EditException"/> where a file lacks the site, its channels, or rows.</summary>
    public static double[] Of(StatisticsFile positive, StatisticsFile negative, string site, string? group = null, bool normalize = false)
    {
        Func<int, bool> groups = group is null ? g => g % (RowGroup.Count / 2) != 0 : MeansBySite.Groups(group);
        double[] a = Mean(positive), b = Mean(negative);
        if (a.Length != b.Length) throw new EditException($"{site} has {a.Length} channels in {positive.Path}, {b.Length} in {negative.Path}");
        for (int i = 0; i < a.Length; i++) a[i] -= b[i];
        if (!normalize) return a;
        double length = Math.Sqrt(a.Sum(x => x * x));
        return length > 0 ? Array.ConvertAll(a, x => x / length) : throw new EditException($"{site}: both means are the same");

        double[] Mean(StatisticsFile file) => MeansBySite.Mean(file, site, groups) is { } mean ? [.. mean] : throw new EditException($"{file.Path}: {site} has no rows of group {group ?? "all but position 0"}");
    }
}
