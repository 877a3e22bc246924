using System.CommandLine;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text.Json;
using Tare.Backends.Cpu;
using Tare.Backends.Cpu.Roofline;
using Tare.Backends.Reference;
using Tare.Execution;
using Tare.Formats;
using Tare.Formats.Quantization;
using Tare.Graphs;
using Tare.Graphs.Ops;
using Tare.Graphs.Weights;

namespace Tare.Cli.Commands;

/// <summary><c>tare doctor</c>: the machine, its vector widths, and which op with which weight type each backend runs.</summary>
internal static class DoctorCommand
{
    public static Command Create()
    {
        var json = SharedOptions.Json();
        var command = new Command("doctor", "Show the machine and what runs on it.") { json };
        command.SetAction(arguments =>
        {
            using var cpu = new CpuBackend();
            using var reference = new ReferenceBackend();
            IBackend[] backends = [cpu, reference];
            var machine = new Dictionary<string, object>
            {
                ["version"] = typeof(DoctorCommand).Assembly.GetName().Version!.ToString(3),
                ["runtime"] = RuntimeInformation.FrameworkDescription,
                ["system"] = $"{RuntimeInformation.OSDescription} {RuntimeInformation.OSArchitecture}",
                ["processor"] = cpu.Device.Name,
                ["processors"] = Environment.ProcessorCount,
                ["instructions"] = cpu.Device.Features,
                ["vector_bits"] = Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128,
                ["memory_bytes"] = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
                ["read_gb_per_s"] = Math.Round(MachineRoof.ReadBandwidth(Environment.ProcessorCount), 1),
                ["backends"] = backends.Select(b => new { name = b.Device.Backend, device = b.Device.Name, features = b.Device.Features, threads = b.Device.Threads }).ToArray(),
            };
            var rows = Rows(backends);
            if (arguments.GetValue(json))
            {
                machine["table"] = rows.Select(r => new { op = r.Op, type = r.Type, backends = backends.Zip(r.Runs).ToDictionary(b => b.First.Device.Backend, b => b.Second) }).ToArray();
                Console.Out.WriteLine(JsonSerializer.Serialize(machine));
                return 0;
            }
            foreach (var (key, value) in machine)
                if (key != "backends") Console.Out.WriteLine($"{key,-14} {value}");
            foreach (var backend in backends) Console.Out.WriteLine($"{"backend",-14} {backend.Device.Backend}: {backend.Device.Name}, {backend.Device.Features}, {backend.Device.Threads} threads");
            Console.Out.WriteLine();
            Console.Out.WriteLine($"{"op",-16}{"weight type",-14}{string.Concat(backends.Select(b => $"{b.Device.Backend,-12}"))}");
            foreach (var (op, type, runs) in rows) Console.Out.WriteLine($"{op,-16}{type ?? "–",-14}{string.Concat(runs.Select(r => $"{(r ? "yes" : "no"),-12}"))}");
            return 0;
        });
        return command;
    }

    // One row an op; ops that multiply by stored matrices or look their rows up, one a type.
    private static List<(string Op, string? Type, bool[] Runs)> Rows(IBackend[] backends)
    {
        var rows = new List<(string, string?, bool[])>();
        foreach (string name in ReferenceOps.Names)
        {
            Func<Weight, Op>? typed = name switch
            {
                nameof(Linear) => w => new Linear(w),
                nameof(GroupLinear) => w => new GroupLinear(w, 1),
                nameof(ExpertLinear) => w => new ExpertLinear(w, null, 1),
                nameof(Embed) => w => new Embed(w),
                _ => null,
            };
            if (typed is null) rows.Add((name, null, [.. backends.Select(b => b is ReferenceBackend || CpuOps.Names.Contains(name))]));
            else
                foreach (var format in BlockFormats.All)
                    rows.Add((name, format.Type.ToString(), [.. backends.Select(b => b.Supports(typed(new Sample(format.Type)), out _))]));
        }
        return rows;
    }

    private sealed record Sample(TensorType Stored) : Weight
    {
        public override long Rows => 1;

        public override int Width => 256;

        public override TensorType Type => Stored;

        public override void Read(long firstRow, int count, Span<float> destination) => destination.Clear();

        public override void Read(long firstRow, int count, Span<double> destination) => destination.Clear();
    }
}
