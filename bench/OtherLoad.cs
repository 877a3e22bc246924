using System.Globalization;

namespace Tare.Bench;

/// <summary>Processors that everything but some processes uses: what else ran on the machine while they were measured (Linux; elsewhere 0).</summary>
internal sealed class OtherLoad(Func<TimeSpan> ours)
{
    private const double TicksASecond = 100; // of /proc/stat

    private double _seconds, _busyBefore;
    private TimeSpan _oursBefore;
    private double _other;

    /// <summary>Processors used by others, on average over the counted spans.</summary>
    public double Processors => _seconds == 0 ? 0 : Math.Max(0, _other / _seconds);

    /// <summary>A counted span begins.</summary>
    public void Begin() => (_busyBefore, _oursBefore) = (Busy(), ours());

    /// <summary>It ends.</summary>
    public void End(TimeSpan wall)
    {
        _other += Busy() - _busyBefore - (ours() - _oursBefore).TotalSeconds;
        _seconds += wall.TotalSeconds;
    }

    // user, nice, system, irq, softirq and steal time of all processors; guest time is part of user.
    private static double Busy()
    {
        if (!File.Exists("/proc/stat")) return 0;
        double[] fields = [.. File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..].Select(f => double.Parse(f, CultureInfo.InvariantCulture))];
        return (fields[0] + fields[1] + fields[2] + fields[5] + fields[6] + fields[7]) / TicksASecond;
    }
}
