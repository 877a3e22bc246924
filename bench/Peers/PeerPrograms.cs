using System.CommandLine;
using Tare.Formats;

namespace Tare.Bench.Peers;

/// <summary><c>compare</c>, and <c>peer</c>, the process that it starts; errors are one line and exit code 1, wrong usage 2.</summary>
internal static class PeerPrograms
{
    public static int Run(string[] arguments)
    {
        try
        {
            if (arguments[0] == "peer") return PeerProcess.Run(arguments[1..]);
            var parsed = new RootCommand { CompareCommand.Create() }.Parse(arguments);
            if (parsed.Errors.Count > 0)
            {
                Console.Error.WriteLine($"compare: {parsed.Errors[0].Message}");
                return 2;
            }
            return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (Exception e) when (e is PeerException or ModelFileException or IOException or UnauthorizedAccessException or System.ComponentModel.Win32Exception or DllNotFoundException or EntryPointNotFoundException)
        {
            Console.Error.WriteLine($"{arguments[0]}: {e.Message}");
            return 1;
        }
    }
}
