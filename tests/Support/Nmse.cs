namespace Tare.Tests.Support;

/// <summary>Normalized mean squared error, mse(actual, expected) / mse(expected, 0), of the worst row.</summary>
internal static class Nmse
{
    /// <summary>The largest error of any row of [rows, width]; NaN and infinities count as infinite.</summary>
    public static double WorstRow(ReadOnlySpan<double> actual, ReadOnlySpan<float> expected, int width)
    {
        actual.Length.ShouldBe(expected.Length);
        double worst = 0;
        for (int start = 0; start < expected.Length; start += width)
        {
            double error = 0, energy = 0;
            for (int i = start; i < start + width; i++)
            {
                error += (actual[i] - expected[i]) * (actual[i] - expected[i]);
                energy += (double)expected[i] * expected[i];
            }
            double row = error == 0 ? 0 : error / energy;
            worst = double.IsNaN(row) ? double.PositiveInfinity : Math.Max(worst, row);
        }
        return worst;
    }

    public static double WorstRow(ReadOnlySpan<float> actual, ReadOnlySpan<float> expected, int width) => WorstRow(Array.ConvertAll(actual.ToArray(), v => (double)v), expected, width);
}
