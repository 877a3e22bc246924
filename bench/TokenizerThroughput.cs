using System.Diagnostics;
using System.Globalization;
using System.Text;
using Tare.Formats;
using Tare.Tokenizers;

namespace Tare.Bench;

/// <summary>Megabytes per second and core of a tokenizer: a text repeated to 50 MB, and single words of 10 MB, with the memory that they take.</summary>
internal static class TokenizerThroughput
{
    private const string English = "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife. However little known the feelings or views of such a man may be on his first entering a "
        + "neighbourhood, this truth is so well fixed in the minds of the surrounding families, that he is considered as the rightful property of some one or other of their daughters.\n\"My dear Mr. Bennet,\" said his lady to him one day, "
        + "\"have you heard that Netherfield Park is let at last?\" Mr. Bennet replied that he had not. \"But it is,\" returned she; \"for Mrs. Long has just been here, and she told me all about it.\"\n";

    public static int Run(string[] arguments)
    {
        if (arguments.Length is < 1 or > 2)
        {
            Console.Error.WriteLine("usage: tokenize MODEL [TEXT-FILE]");
            return 2;
        }
        using var model = ModelFile.Open(arguments[0]);
        var tokenizer = Tokenizer.Of(model);
        string text = arguments.Length == 2 ? File.ReadAllText(arguments[1]) : English;
        tokenizer.Encode(text);
        Show("text, 50 MB", tokenizer, Repeat(text, 50_000_000));
        var random = new Random(1);
        Show("random letters, one word, 10 MB", tokenizer, string.Create(10_000_000, random, static (span, r) =>
        {
            for (int i = 0; i < span.Length; i++) span[i] = (char)('a' + r.Next(26));
        }));
        Show("one letter, one word, 10 MB", tokenizer, new string('a', 10_000_000));
        return 0;
    }

    private static void Show(string what, Tokenizer tokenizer, string text)
    {
        GC.Collect();
        var clock = Stopwatch.StartNew();
        int ids = tokenizer.Encode(text).Length;
        double seconds = clock.Elapsed.TotalSeconds, megabytes = Encoding.UTF8.GetByteCount(text) / 1e6;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-34}{ids,12:N0} ids{seconds,9:F2} s{megabytes / seconds,9:F1} MB/s, peak resident {Process.GetCurrentProcess().PeakWorkingSet64 / 1e6:F0} MB"));
    }

    private static string Repeat(string text, int length) => new StringBuilder(length + text.Length).Insert(0, text, length / text.Length).ToString();
}
