using System.Diagnostics;
using System.Globalization;
using Tare.Backends.Cpu;
using Tare.Diagnostics;
using Tare.Formats;
using Tare.Models;
using Tare.Rewrites;

namespace Tare.Bench;

/// <summary>Seconds a gigabyte of opening and packing a model, the processor time of it, and the memory that is resident afterwards beside what the weights take.</summary>
internal static class LoadTime
{
    public static int Run(string[] arguments)
    {
        if (arguments.Length is < 1 or > 3 || arguments.Skip(1).Any(a => !int.TryParse(a, CultureInfo.InvariantCulture, out int n) || n < 1))
        {
            Console.Error.WriteLine("usage: load MODEL [THREADS [REPETITIONS]]");
            return 2;
        }
        int threads = arguments.Length > 1 ? int.Parse(arguments[1], CultureInfo.InvariantCulture) : Environment.ProcessorCount;
        for (int i = 0; i < (arguments.Length > 2 ? int.Parse(arguments[2], CultureInfo.InvariantCulture) : 3); i++) Load(arguments[0], threads);
        return 0;
    }

    private static void Load(string path, int threads)
    {
        var processor = Process.GetCurrentProcess().TotalProcessorTime;
        var clock = Stopwatch.StartNew();
        using var file = ModelFile.Open(path);
        using var backend = new CpuBackend(threads);
        using var weights = backend.CreateWeightStore();
        using var bench = new Throughput(backend, IntegerActivations.Apply(ArchitectureRegistry.Build(file)), weights, 0, 8);
        double seconds = clock.Elapsed.TotalSeconds, used = (Process.GetCurrentProcess().TotalProcessorTime - processor).TotalSeconds, gigabytes = file.Tensors.Sum(t => t.ByteLength) / 1e9;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{gigabytes:F2} GB, {threads} threads: {seconds:F2} s, {seconds / gigabytes:F2} s/GB ({used / gigabytes:F2} s/GB of processor time), packed {weights.Bytes / 1e6:F0} MB, resident {Environment.WorkingSet / 1e6:F0} MB"));
    }
}
