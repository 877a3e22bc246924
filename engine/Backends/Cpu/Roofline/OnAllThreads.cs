using System.Diagnostics;

namespace Tare.Backends.Cpu.Roofline;

/// <summary>Runs a piece of work over and over on several threads at once.</summary>
internal static class OnAllThreads
{
    private static double _kept;

    /// <summary>Uses a result, so that what computed it is not optimized away.</summary>
    public static void Keep(double value) => Volatile.Write(ref _kept, value);

    /// <summary>Units a second of all threads together: each gets work that returns how many units it did. All begin together; the best of three stretches counts.</summary>
    public static double Rate(int threads, double seconds, Func<int, Func<double>> work, CancellationToken cancel)
    {
        double best = 0;
        Func<double>[] parts = [.. Enumerable.Range(0, threads).Select(work)];
        foreach (var part in parts) part(); // compiled and warm
        for (int attempt = 0; attempt < 3; attempt++)
        {
            cancel.ThrowIfCancellationRequested();
            var rates = new double[threads];
            using var start = new Barrier(threads);
            Thread[] workers = [.. Enumerable.Range(0, threads).Select(t => new Thread(() =>
            {
                start.SignalAndWait();
                double units = 0;
                var clock = Stopwatch.StartNew();
                do units += parts[t](); while (clock.Elapsed.TotalSeconds < seconds / 3);
                rates[t] = units / clock.Elapsed.TotalSeconds;
            }))];
            foreach (var worker in workers) worker.Start();
            foreach (var worker in workers) worker.Join();
            best = Math.Max(best, rates.Sum());
        }
        return best;
    }
}
