using System.CommandLine;
using Tare.Bench.Check;
using Tare.Bench.Peers;
using Tare.Bench.Performance;
using Tare.Formats;

namespace Tare.Bench;

/// <summary>The commands beside BenchmarkDotNet's; errors are one line and exit code 1, wrong usage 2.</summary>
internal static class OwnCommands
{
    public static int Run(string[] arguments)
    {
        try
        {
            if (arguments[0] == "peer") return PeerProcess.Run(arguments[1..]);
            var parsed = new RootCommand("Measurements of Tare.") { CompareCommand.Create(), ControlVectorCommand.Create(), CheckCommand.Create(), PerformanceCommand.Create() }.Parse(arguments);
            if (parsed.Errors.Count == 0) return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
            Console.Error.WriteLine($"{arguments[0]}: {parsed.Errors[0].Message}");
            return 2;
        }
        catch (Exception e) when (e is PeerException or ModelFileException or ArgumentException or IOException or UnauthorizedAccessException or System.ComponentModel.Win32Exception or DllNotFoundException or EntryPointNotFoundException)
        {
            Console.Error.WriteLine($"{arguments[0]}: {e.Message}");
            return 1;
        }
    }
}
