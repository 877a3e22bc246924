using System.Text;
using System.Text.Json;

namespace Tare.Cli;

/// <summary>JSON on standard input.</summary>
internal static class StandardInput
{
    /// <summary>All of stdin as UTF-8 text.</summary>
    public static string ReadText()
    {
        using var reader = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        return reader.ReadToEnd();
    }

    public static T Read<T>(string expected)
    {
        using var stream = Console.OpenStandardInput();
        try
        {
            var value = JsonSerializer.Deserialize<T>(stream);
            if (value is Array items)
                foreach (object? item in items)
                    if (item is null) throw new UsageException($"stdin holds a null; {expected} is expected");
            return value ?? throw new UsageException($"stdin is null; {expected} is expected");
        }
        catch (JsonException e)
        {
            throw new UsageException($"stdin is not {expected} ({e.Message})");
        }
    }
}
