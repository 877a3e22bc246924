using System.Diagnostics;

namespace Tare.Tests.Cli;

/// <summary>Runs the command as its own process, as a user would.</summary>
internal static class CommandLine
{
    public static (int ExitCode, string Output, string Error) Run(params string[] arguments) => RunWithInput("", arguments);

    public static (int ExitCode, string Output, string Error) RunWithInput(string input, params string[] arguments) => RunWith([], input, arguments);

    public static (int ExitCode, string Output, string Error) RunWith(Dictionary<string, string> environment, string input, params string[] arguments)
    {
        using var process = Start(environment, arguments);
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        var error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit(120_000).ShouldBeTrue("the command did not end");
        return (process.ExitCode, output, error.Result);
    }

    /// <summary>Starts the command with SIGINT as a terminal has it: a runner in the background hands down an ignored one.</summary>
    public static Process Start(params string[] arguments) => Start([], arguments);

    private static Process Start(Dictionary<string, string> environment, string[] arguments)
    {
        var start = new ProcessStartInfo("env") { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (string argument in (string[])["--default-signal=INT", "dotnet", Path.Combine(AppContext.BaseDirectory, "tare.dll"), .. arguments]) start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment) start.Environment[name] = value;
        return Process.Start(start)!;
    }
}
