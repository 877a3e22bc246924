using System.CommandLine;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text.Json;
using Tare.Backends.Reference;
using Tare.Formats.Quantization;

namespace Tare.Cli.Commands;

/// <summary><c>tare doctor</c>: the machine, its vector widths, and what each backend can run.</summary>
internal static class DoctorCommand
{
    public static Command Create()
    {
        var json = SharedOptions.Json();
        var command = new Command("doctor", "Show the machine and what runs on it.") { json };
        command.SetAction(arguments =>
        {
            using var reference = new ReferenceBackend();
            var report = new Dictionary<string, object>
            {
                ["version"] = typeof(DoctorCommand).Assembly.GetName().Version!.ToString(3),
                ["runtime"] = RuntimeInformation.FrameworkDescription,
                ["system"] = $"{RuntimeInformation.OSDescription} {RuntimeInformation.OSArchitecture}",
                ["processors"] = Environment.ProcessorCount,
                ["memory_bytes"] = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
                ["vector_bits"] = Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128,
                ["backends"] = new[] { $"{reference.Device.Backend}: {reference.Device.Name}, {reference.Device.Threads} threads" },
                ["ops"] = ReferenceOps.Names,
                ["weight_types"] = BlockFormats.All.Select(f => f.Type.ToString()).ToArray(),
            };
            if (arguments.GetValue(json)) Console.Out.WriteLine(JsonSerializer.Serialize(report));
            else
                foreach (var (key, value) in report) Console.Out.WriteLine($"{key,-14} {(value is IEnumerable<string> list ? string.Join(", ", list) : value)}");
            return 0;
        });
        return command;
    }
}
