namespace Tare.Cli;

/// <summary>One line of progress on stderr, on a terminal only.</summary>
internal static class Progress
{
    public static void Show(string what, long done, long total)
    {
        if (!Console.IsErrorRedirected) Console.Error.Write($"\r{what} {done}/{total} ");
    }

    public static void End()
    {
        if (!Console.IsErrorRedirected) Console.Error.Write("\r\u001b[K");
    }
}
